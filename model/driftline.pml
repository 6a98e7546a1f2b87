/*
 * A model of driftline's topic: publish, park, cut and close, for the checker Spin.
 *
 * What is written in small letters and named in the page about the model is a step: while it is
 * done, no other process comes in between. A step that only looks is a `#define`. The page says
 * which line of the code each step stands for, and what is left out. Steps share an `atomic` where
 * nobody else can tell; a comment says why.
 *
 * Entries are known by their order in the inbox, links by their place in the chain. All readers
 * subscribe before anything is published.
 *
 * THREADS: readers are threads, each on its own. Without it they are tasks of one event loop of
 * asyncio, of which one runs at a time. Publishers are threads in both.
 *
 * CLOSE_LAST: `close` comes when nothing else can happen. Without it, at any other moment too.
 *
 * What follows MUTATION in a name breaks the model on purpose, to show that the checker finds it.
 */

#ifndef PUBLISHERS
#define PUBLISHERS 2
#endif
#ifndef READERS
#define READERS 2 /* at most 3 */
#endif
#ifndef EACH
#define EACH 1 /* messages of each publisher */
#endif
#ifndef LIMIT
#define LIMIT 2
#endif

#define MESSAGES (PUBLISHERS * EACH)

/* What `next` of a link is. */
#define NOTHING 0
#define ANOTHER 1
#define THE_END 2
#define A_GAP 3

/* The inbox is from `popped` to `appended`. The entry of `close` is known from its being there. */
byte appended, popped;
byte close_entry = 255;
#define IS_CLOSE (popped == close_entry)
bool claimed[MESSAGES + 1]; /* of each entry, also by who takes it back */

/* The topic. */
bool turn_is_taken, closing;
byte published; /* also the place of the open link: both are in `_end`, which is set at once */
byte next[MESSAGES + 1]; /* of each link */
bool filled[MESSAGES + 1]; /* whether the link has its value */
byte kept; /* where the gap leads */

/* The readers: the place of `_link`, and `_seq`, which is the sum of what it received and missed. */
byte at[READERS];
byte seq[READERS];

/* The parking, of which there is one, and how often it is in the queue. */
byte parked; /* a set */
byte queue;
bool queued;

/* What only the properties look at. */
byte accepted, publishers_done, readers_done, begun;

/* What is in no state. */
hidden byte least, place_passed;

/* Sets of readers are bits. */
#define BIT(reader) (1 << (reader))
#define FIRST(set) ((set) & 1 -> 0 : ((set) & 2 -> 1 : 2))
#define WITHOUT_FIRST(set) ((set) & ((set) - 1))

/* ---------------------------------------------------------------- parking: what all have */

inline enter_parked(who) { parked = parked | BIT(who) }

#define enter_look_queued queued

inline enqueue_mark() { queued = true }

inline enqueue_append() { queue++ }

#ifdef MUTATION_NO_LOOK_AFTER_PARKING
#define enter_look_again(who) true
#else
#define enter_look_again(who) (next[at[who]] == NOTHING)
#endif

inline leave(who) { parked = parked & ~BIT(who) }

#ifdef THREADS

/* ---------------------------------------------------------------- parking: threads */

bool called;
bool released[READERS]; /* the lock of each waiter */

inline call_mark() { called = true }

inline release(who) { released[who] = true }

inline resume_begin() { called = false }

inline ready_unqueue() { queued = false }

inline ready_copy() { atomic { copy = parked; left_to_look = copy; ready = 0 } }

inline ready_look()
{
	if
	:: next[at[FIRST(left_to_look)]] != NOTHING -> ready = ready | BIT(FIRST(left_to_look))
	:: else
	fi;
	left_to_look = WITHOUT_FIRST(left_to_look)
}

#if defined(MUTATION_NO_QUEUEING_FOR_THE_OTHERS) || defined(MUTATION_UNQUEUE_AFTER_LOOKING)
#define ready_enough true
#else
#define ready_enough (ready == copy || queued)
#endif

inline resume()
{
	resume_begin();
#ifndef MUTATION_UNQUEUE_AFTER_LOOKING
	ready_unqueue();
#endif
	ready_copy();
	do
	:: atomic { left_to_look != 0 -> ready_look() }
	:: left_to_look == 0 && !ready_enough -> enqueue_mark(); enqueue_append(); ready_copy()
	:: left_to_look == 0 && ready_enough -> break
	od;
#ifdef MUTATION_UNQUEUE_AFTER_LOOKING
	ready_unqueue();
#endif
	do
	:: atomic { ready != 0 && parked & BIT(FIRST(ready)) -> leave(FIRST(ready)) };
	   atomic { release(FIRST(ready)); ready = WITHOUT_FIRST(ready) }
	:: atomic { ready != 0 && !(parked & BIT(FIRST(ready))) -> ready = WITHOUT_FIRST(ready) }
	:: atomic { ready == 0 -> copy = 0; break }
	od
}

/* Any of those who stand there, where the code takes the first. */
#define call_first(who) (parked & BIT(who))

/* The pop: nobody else looks how long the queue is. */
inline call()
{
	call_mark();
	if
	:: call_first(0) -> atomic { release(0); wake_pop() }
#if READERS > 1
	:: call_first(1) -> atomic { release(1); wake_pop() }
#endif
#if READERS > 2
	:: call_first(2) -> atomic { release(2); wake_pop() }
#endif
	:: parked == 0 -> resume(); wake_pop()
	fi
}

#else

/* ---------------------------------------------------------------- parking: asyncio */

byte scheduled; /* how often `resume` is to be called by the loop */
byte running; /* the task that runs, from 1; 0 is the loop itself */
#define THE_LOOP 0
#define TASK(reader) ((reader) + 1)

/* The pop: nobody else looks how long the queue is. */
inline call() { atomic { scheduled++; wake_pop() } }

inline resume_begin() { queued = false; waking = parked; parked = 0 }

#define wake_look(who) (next[at[who]] == NOTHING)

inline run_task(who) { running = TASK(who); running == THE_LOOP }

/* Only what runs on the loop looks at `parked` and `queued`. */
inline enter(who)
{
	atomic {
		enter_parked(who);
		if
		:: enter_look_queued
		:: else -> enqueue_mark(); enqueue_append()
		fi
	}
}

#endif

/* ---------------------------------------------------------------- the waiting room */

inline wake_count() { calls = queue }

inline wake_pop() { queue--; calls-- }

inline wake()
{
	wake_count();
	do
	:: calls > 0 -> call()
	:: calls == 0 -> break
	od
}

/* ---------------------------------------------------------------- limits */

#define OLDEST_KEPT (published - LIMIT)

inline move_gap() { kept = OLDEST_KEPT }

#define cut_look(who) (seq[who] < OLDEST_KEPT && next[at[who]] == ANOTHER)

inline cut_hold(who) { place = at[who] }

/* What `next` is may be looked at late: only who has the turn changes it. */
#ifdef MUTATION_NO_SECOND_LOOK_AT_THE_NUMBER
#define cut_look_again(who) (next[place] == ANOTHER)
#else
#define cut_look_again(who) (next[place] == ANOTHER && seq[who] < OLDEST_KEPT)
#endif

inline cut_lead_to_gap()
{
	assert(place < OLDEST_KEPT); /* L2 */
	next[place] = A_GAP
}

inline cut_take_value() { filled[place] = false; place = 0 }

inline cut()
{
	if
	:: published > LIMIT && !IS_CLOSE ->
#ifndef MUTATION_MOVE_THE_GAP_LAST
	   move_gap();
#endif
	   do
	   :: atomic { who < READERS && !cut_look(who) -> who++ }
	   :: who < READERS && cut_look(who) ->
	      cut_hold(who);
	      if
	      :: cut_look_again(who) -> cut_lead_to_gap(); atomic { cut_take_value(); who++ }
	      :: atomic { else -> place = 0; who++ }
	      fi
	   :: who == READERS -> break
	   od;
#ifdef MUTATION_MOVE_THE_GAP_LAST
	   move_gap();
#endif
	   who = 0
	:: else
	fi
}

/* ---------------------------------------------------------------- topic */

#ifdef MUTATION_NO_TURN
#define turn_is_free true
#else
#define turn_is_free (!turn_is_taken)
#endif

inline take_turn() { turn_is_taken = true }

inline give_turn() { turn_is_taken = false }

#define inbox_is_empty (popped == appended)

#ifdef MUTATION_LINK_AFTER_THE_END
#define link_look_end true
#else
#define link_look_end (next[published] != THE_END)
#endif

/* The claim and the value: nobody looks at the value of an open link. */
inline link_claim()
{
	assert(!filled[published] && next[published] == NOTHING); /* I1: once, so all agree */
	claimed[popped] = true;
	filled[published] = true
}

inline link_number() { published = published + !IS_CLOSE }

inline link_next(open) { next[open] = (IS_CLOSE -> THE_END : ANOTHER) }

inline inbox_pop()
{
	assert(!inbox_is_empty); /* K1 */
	popped++
}

/* The looks: only who has the turn pops or ends the chain. The number: nobody finds the link before
 * `next` leads to it. */
inline link_all()
{
	do
	:: inbox_is_empty -> break
	:: atomic {
	      !inbox_is_empty ->
#ifdef MUTATION_WAKE_BEFORE_LINKING
	   };
	   wake();
	   atomic {
#endif
	      if
	      :: link_look_end && !claimed[popped] ->
	         link_claim();
	         ours = true;
#ifndef MUTATION_NUMBER_AFTER_NEXT
	         link_number()
#endif
	      :: else
	      fi
	   };
	   if
#ifdef MUTATION_NUMBER_AFTER_NEXT
	   :: ours -> link_next(published); link_number(); cut()
#else
	   :: ours -> link_next(published - !IS_CLOSE); cut()
#endif
	   :: else
	   fi;
	   atomic { inbox_pop(); ours = false };
#ifndef MUTATION_WAKE_BEFORE_LINKING
	   if
	   :: inbox_is_empty -> wake()
	   :: else
	   fi
#endif
	od
}

inline link_inbox()
{
	do
	:: inbox_is_empty -> break
	:: !inbox_is_empty ->
	   if
	   :: atomic { turn_is_free -> take_turn() }
	   :: else -> break
	   fi;
	   link_all();
	   give_turn();
#ifdef MUTATION_NO_SECOND_LOOK_AT_THE_INBOX
	   break
#endif
	od
}

#define refuse_if_closed closing

inline inbox_append() { appended++ }

#ifdef MUTATION_NO_LOOK_AFTER_APPENDING
#define look_after_append false
#else
#define look_after_append closing
#endif

inline take_back(entry)
{
	accepted = accepted + claimed[entry];
#ifndef MUTATION_NO_CLAIM
	claimed[entry] = true
#endif
}

inline close_mark() { closing = true }

inline close_append() { atomic { close_entry = appended; appended++ } }

#ifdef THREADS
#define LINKER byte place, calls, who, copy, left_to_look, ready; bool ours
#else
#define LINKER byte place, calls, who; bool ours
#endif

/* ---------------------------------------------------------------- reading */

#define look(me) next[at[me]]

inline miss_look() { goal = kept }

inline miss_count()
{
	assert(goal > seq[me]); /* L2 */
	seq[me] = goal
}

inline miss_move() { atomic { at[me] = goal; goal = 0; free_passed() } }

inline miss() { miss_look(); atomic { miss_count() }; miss_move() }

#define take_value filled[at[me]]

inline take_count()
{
	seq[me]++;
	assert(seq[me] <= published) /* K3 */
}

inline take_move()
{
	at[me]++;
	assert(seq[me] == at[me]); /* S2: its numbers say exactly where it stands */
	free_passed()
}

inline take()
{
	if
	:: take_value ->
#ifdef MUTATION_MOVE_BEFORE_COUNT
	   at[me]++;
	   seq[me]++
#else
	   atomic { take_count() };
	   atomic { take_move() }
#endif
	:: else /* cut off in this moment */
	fi
}

/* What nobody can come to any more is forgotten, or there would be more states. */
inline free_passed()
{
	d_step {
		least = at[0];
#if READERS > 1
		least = (at[1] < least -> at[1] : least);
#endif
#if READERS > 2
		least = (at[2] < least -> at[2] : least);
#endif
		place_passed = 0;
		do
		:: place_passed < least ->
		   next[place_passed] = NOTHING;
		   filled[place_passed] = false;
		   place_passed++
		:: else -> break
		od;
		least = 0;
		place_passed = 0
	}
}

inline finish()
{
	assert(seq[me] == published && at[me] == published); /* exact at the end */
	readers_done++
}

#ifdef THREADS

inline sleep() { atomic { released[me] -> released[me] = false } }

active [READERS] proctype reader()
{
	LINKER;
	byte me = _pid;
	byte goal;
	do
	:: look(me) == ANOTHER -> take()
	:: look(me) == A_GAP -> miss()
	:: atomic { look(me) == THE_END -> finish(); break }
	:: look(me) == NOTHING ->
	   link_inbox();
	   if
	   :: look(me) != NOTHING
	   :: else ->
	      enter_parked(me);
	      if
	      :: enter_look_queued
	      :: else -> enqueue_mark(); enqueue_append()
	      fi;
	      if
	      :: enter_look_again(me) -> sleep(); leave(me)
#ifdef MUTATION_LEAVE_WITHOUT_A_WORD
	      :: else -> leave(me)
#else
	      :: else -> leave(me); call_mark()
#endif
	      fi;
	      if
#ifndef MUTATION_NO_RESUMING_BY_WHO_LEAVES
	      :: called -> resume()
#endif
	      :: else
	      fi
	   fi
	od
}

#else

active [READERS] proctype reader()
{
	byte me = _pid;
	byte goal;
	running == TASK(me);
	do
	:: look(me) == ANOTHER -> take()
	:: look(me) == A_GAP -> miss()
	:: atomic { look(me) == THE_END -> finish(); running = THE_LOOP; break }
	:: look(me) == NOTHING ->
	   enter(me);
	   if
	   :: atomic {
	         enter_look_again(me) -> running = THE_LOOP;
	         running == TASK(me) -> assert(look(me) != NOTHING) /* nobody is woken for nothing */
	      }
	   :: else -> leave(me)
	   fi;
#ifdef MUTATION_NO_LOOK_AT_WHAT_FOLLOWS
	   if
	   :: look(me) == ANOTHER -> assert(look(me) == ANOTHER || !take_value) /* S1: not at a gap */
	   :: else
	   fi
#endif
	od
}

/* Tasks are alike, so it does not matter in which order they start, or which is woken first. */
active proctype event_loop()
{
	byte waking, started;
	do
	:: atomic { started < READERS -> started++; run_task(started - 1) }
	:: atomic {
	      scheduled > 0 -> scheduled--;
#ifdef MUTATION_UNQUEUE_AFTER_LOOKING
	      waking = parked;
	      parked = 0
#else
	      resume_begin()
#endif
	   };
	   do
	   :: atomic { waking != 0 && !wake_look(FIRST(waking)) -> run_task(FIRST(waking)) };
	      waking = WITHOUT_FIRST(waking)
	   :: waking != 0 && wake_look(FIRST(waking)) ->
#ifndef MUTATION_NO_QUEUEING_FOR_THE_OTHERS
	      enter(FIRST(waking));
	      if
	      :: enter_look_again(FIRST(waking))
	      :: atomic { else -> leave(FIRST(waking)); run_task(FIRST(waking)) }
	      fi;
#endif
	      waking = WITHOUT_FIRST(waking)
	   :: waking == 0 -> break
	   od
#ifdef MUTATION_UNQUEUE_AFTER_LOOKING
	   ;
	   queued = false
#endif
	:: readers_done == READERS -> break
	od
}

#endif

/* ---------------------------------------------------------------- publishing and closing */

/* Publishers are alike, so they are numbered in the order in which they first append, or refuse. */
#ifdef THREADS
#define FIRST_COME (left < EACH || _pid == READERS + begun)
#else
#define FIRST_COME (left < EACH || _pid == READERS + 1 + begun)
#endif

active [PUBLISHERS] proctype publisher()
{
	LINKER;
	byte entry;
	byte left = EACH;
	do
	:: left > 0 && !refuse_if_closed ->
	   atomic {
	      FIRST_COME -> begun = begun + (left == EACH);
	      entry = appended; inbox_append(); left--
	   };
	   link_inbox();
	   if
	   :: look_after_append -> atomic { take_back(entry); entry = 0 }
	   :: atomic { else -> accepted++; entry = 0 }
	   fi
	:: atomic {
	      left == 0 || (refuse_if_closed && FIRST_COME) ->
	      begun = begun + (left == EACH);
	      left = 0; publishers_done++; break
	   }
	od
}

active proctype closer()
{
	LINKER;
	if
#ifndef CLOSE_LAST
	:: skip
#endif
	:: atomic {
	      timeout ->
	      assert(publishers_done == PUBLISHERS && inbox_is_empty && turn_is_free);
	      do
	      :: who < READERS -> assert(look(who) == NOTHING && seq[who] == published); who++
	      :: else -> who = 0; break
	      od
	   }
	fi;
#ifdef MUTATION_MARK_CLOSE_LAST
	close_append();
	close_mark();
#else
	close_mark();
	close_append();
#endif
	link_inbox();
	atomic {
		/* If this never comes, somebody sleeps for ever: the checker calls it an invalid end. */
		publishers_done == PUBLISHERS && readers_done == READERS;
		assert(turn_is_free && inbox_is_empty);
		assert(accepted == published) /* and one that was refused is never delivered */
	}
}
