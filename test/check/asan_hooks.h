/*
 * asan_hooks.h
 *	  Stands for valgrind/memcheck.h in a server that is built with
 *	  AddressSanitizer: what PostgreSQL tells valgrind of its memory, the
 *	  sanitizer is told.
 *
 * The sanitizer alone knows only malloc(), and palloc() carves its chunks out
 * of malloc's blocks: a pointer past the end of a chunk, or one into a chunk
 * that was given back, would meet memory that is allowed.  It knows no bytes
 * that are undefined; that is valgrind's part.
 */
#ifndef LEAD_FUNNEL_ASAN_HOOKS_H
#define LEAD_FUNNEL_ASAN_HOOKS_H

#include <sanitizer/asan_interface.h>

#define VALGRIND_MAKE_MEM_NOACCESS(p, n)	ASAN_POISON_MEMORY_REGION(p, n)
#define VALGRIND_MAKE_MEM_UNDEFINED(p, n)	ASAN_UNPOISON_MEMORY_REGION(p, n)
#define VALGRIND_MAKE_MEM_DEFINED(p, n)		ASAN_UNPOISON_MEMORY_REGION(p, n)
#define VALGRIND_MEMPOOL_ALLOC(pool, p, n)	ASAN_UNPOISON_MEMORY_REGION(p, n)
#define VALGRIND_MEMPOOL_CHANGE(pool, old, p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)

/* pfree() has taken the right to the chunk away where it wiped it */
#define VALGRIND_MEMPOOL_FREE(pool, p)		((void) 0)
#define VALGRIND_MEMPOOL_TRIM(pool, p, n)	((void) 0)
#define VALGRIND_CREATE_MEMPOOL(pool, redzone, zeroed) ((void) 0)
#define VALGRIND_DESTROY_MEMPOOL(pool)		((void) 0)
#define VALGRIND_CHECK_MEM_IS_DEFINED(p, n) ((void) 0)
#define VALGRIND_PRINTF(...)				((void) 0)
#define VALGRIND_COUNT_ERRORS				0

#endif
