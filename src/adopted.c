/*-------------------------------------------------------------------------
 *
 * adopted.c
 *	  Events that a subtransaction journals for one that it is in.
 *
 * NOTES
 *	  TRUNCATE, a change of the funnel or a decision on a lead need a journal
 *	  that is up to date, also if they come in a savepoint and what is not
 *	  journalled yet came before it.  So the subtransaction adopts such events.
 *	  If it is rolled back, so are the rows that it has journalled for them, and
 *	  the events are in line again, as they were before.
 *
 * IDENTIFICATION
 *	  src/adopted.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "adopted.h"

typedef struct Adoption
{
	SubTransactionId adopter;
	MemoryContext cxt;			/* of this, and of the events */
	List	   *events;			/* with their own subtransactions */
} Adoption;

/* In TopTransactionContext, as all of it; those of the innermost subtransaction are last. */
static List *adoptions = NIL;

static Adoption *
adoption_of(SubTransactionId adopter)
{
	Adoption   *adoption = adoptions == NIL ? NULL : llast(adoptions);
	MemoryContext cxt;
	MemoryContext previous;

	if (adoption != NULL && adoption->adopter == adopter)
		return adoption;
	cxt = AllocSetContextCreate(TopTransactionContext, "lead_funnel adopted events", ALLOCSET_SMALL_SIZES);
	adoption = MemoryContextAllocZero(cxt, sizeof(Adoption));
	adoption->adopter = adopter;
	adoption->cxt = cxt;
	previous = MemoryContextSwitchTo(TopTransactionContext);
	adoptions = lappend(adoptions, adoption);
	MemoryContextSwitchTo(previous);
	return adoption;
}

void
lf_adopted_keep(const Event *event, SubTransactionId adopter)
{
	Adoption   *adoption = adoption_of(adopter);
	MemoryContext previous = MemoryContextSwitchTo(adoption->cxt);

	adoption->events = lappend(adoption->events, lf_event_copy(event, NULL));
	MemoryContextSwitchTo(previous);
}

/* Takes the last adoption off the list if it is the subtransaction's. */
static Adoption *
take_last(SubTransactionId adopter)
{
	Adoption   *adoption = adoptions == NIL ? NULL : llast(adoptions);

	if (adoption == NULL || adoption->adopter != adopter)
		return NULL;
	adoptions = list_delete_last(adoptions);
	return adoption;
}

bool
lf_adopted_return(SubTransactionId adopter, void (*take_back) (const Event *event))
{
	Adoption   *adoption = take_last(adopter);
	ListCell   *cell;

	if (adoption == NULL)
		return false;
	foreach(cell, adoption->events)
		take_back(lfirst(cell));
	MemoryContextDelete(adoption->cxt);
	return true;
}

void
lf_adopted_hand_over(SubTransactionId adopter, SubTransactionId parent)
{
	Adoption   *adoption = take_last(adopter);
	ListCell   *cell;

	if (adoption == NULL)
		return;
	/* the parent's own need not come back any more, others may have to */
	foreach(cell, adoption->events)
	{
		const Event *event = lfirst(cell);

		if (event->subid != parent)
			lf_adopted_keep(event, parent);
	}
	MemoryContextDelete(adoption->cxt);
}

void
lf_adopted_forget(void)
{
	adoptions = NIL;
}
