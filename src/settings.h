/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  What a session says of its moves: actor, reason, note, override.
 *
 * IDENTIFICATION
 *	  src/settings.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef LEAD_FUNNEL_SETTINGS_H
#define LEAD_FUNNEL_SETTINGS_H

extern void lf_settings_init(void);

/* Each returns NULL where nothing counts. */
extern const char *lf_setting_actor(void);
extern const char *lf_setting_reason(void);
extern const char *lf_setting_note(void);
extern const char *lf_setting_override(void);

/* True if the text is empty or blanks only: such a reason is none. */
extern bool lf_is_blank(const char *s, int len);

#endif							/* LEAD_FUNNEL_SETTINGS_H */
