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

void
lf_adopted_keep(const List *events, SubTransactionId adopter)
{
	MemoryContext cxt = AllocSetContextCreate(TopTransactionContext, "lead_funnel adopted events", ALLOCSET_SMALL_SIZES);
	MemoryContext previous = MemoryContextSwitchTo(cxt);
	Adoption   *adoption = palloc0(sizeof(Adoption));
	const ListCell *cell;

	adoption->adopter = adopter;
	adoption->cxt = cxt;
	foreach(cell, events)
		adoption->events = lappend(adoption->events, lf_event_copy(lfirst(cell), NULL));
	MemoryContextSwitchTo(TopTransactionContext);
	adoptions = lappend(adoptions, adoption);
	MemoryContextSwitchTo(previous);
}

/* The last one, if it is the subtransaction's. */
static Adoption *
last_of(SubTransactionId adopter)
{
	Adoption   *adoption = adoptions == NIL ? NULL : llast(adoptions);

	return adoption != NULL && adoption->adopter == adopter ? adoption : NULL;
}

void
lf_adopted_return(SubTransactionId adopter, void (*take_back) (const Event *event))
{
	Adoption   *adoption;

	while ((adoption = last_of(adopter)) != NULL)
	{
		ListCell   *cell;

		adoptions = list_delete_last(adoptions);
		foreach(cell, adoption->events)
			take_back(lfirst(cell));
		MemoryContextDelete(adoption->cxt);
	}
}

void
lf_adopted_hand_over(SubTransactionId adopter, SubTransactionId parent)
{
	for (int i = list_length(adoptions) - 1; i >= 0; i--)
	{
		Adoption   *adoption = list_nth(adoptions, i);
		ListCell   *cell;

		if (adoption->adopter != adopter)
			break;
		adoption->adopter = parent;
		/* the parent's own need not come back any more, others may have to */
		foreach(cell, adoption->events)
		{
			if (((const Event *) lfirst(cell))->subid == parent)
				adoption->events = foreach_delete_current(adoption->events, cell);
		}
		if (adoption->events != NIL)
			continue;
		adoptions = list_delete_nth_cell(adoptions, i);
		MemoryContextDelete(adoption->cxt);
	}
}

void
lf_adopted_forget(void)
{
	adoptions = NIL;
}
