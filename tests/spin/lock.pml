/* The lock, the commit, the repair and the journaller of riskreg, with a SIGKILL before every step of every process.

   What is claimed, what is left out and why that is sound, how to run it and how to read a counterexample: README.md.

   Writer   Registry::locked: segment::StateLock, decide, core::execute (write_event, commit, apply), unlock; then it ends
   Host     registry::Snapshotter and its Journaller: host mutex, ring → journal → durable, look_after_the_dead

   What the processes share is global. Each atomic{} is one step: one atomic instruction, one store or one load of the real
   code on memory that somebody else may look at meanwhile, with whatever is local to the process, or only its own as long as
   it holds the lock. KILL beside it is the death of the process before that step. Assertions are no steps of the code. */

#ifndef WRITERS
#define WRITERS 2       /* with HOSTS at most 5: a thread id has three bits, `wake_one` five branches */
#endif
#ifndef EACH
#define EACH 1          /* operations of each writer */
#endif
#ifndef BATCH
#define BATCH 1         /* events of an operation, committed by one store; at most 7 events in all */
#endif
#ifndef HOSTS
#define HOSTS 1         /* 2: one more process stands by for the host mutex */
#endif
#ifndef KILLS
#define KILLS 1         /* SIGKILLs in all; a killed host comes back as its successor, a killed writer does not */
#endif
#ifndef RING
#define RING 2          /* slots of the event ring, at least BATCH; fewer than events: the journaller can be lapped */
#endif

/* Wrong on purpose, one at a time: each must be found.
   UNTIMED           waits have no time slice
   SWAPPED_COMMIT    `committed` is stored before the event is written
   NO_REDO           the repair marks the event as applied without applying it
   CONSISTENT_FIRST  whoever gets the notice of a death marks the mutex consistent and lets go, to repair afterwards, and who
                     gets the mutex without a notice looks no further (realm-core #1503)
   ONE_COPY          a record is updated in place
   READ_AHEAD        the journaller reads whatever slot is whole, not only up to `committed`
   NO_RECHECK        the journaller does not look at sequence and checksum again after copying an event
   NOT_ROBUST        the kernel does not mark the lock of a dead process

   Less than what the code does, and still right (README.md):
   CONSISTENT_EARLY  pthread_mutex_consistent before the repair, but under the same hold
   NOTICE_ONLY       a locker without a notice does not compare committed and applied
   OLD_KERNEL        the kernel wakes nobody when a process dies between two states of a free lock (Linux before 5.5) */

/* ---- the lock --------------------------------------------------------------------------------------------------------- */

/* The futex word: thread id, FUTEX_WAITERS, FUTEX_OWNER_DIED. */
#define OWNER   7
#define WAITERS 8
#define DIED    16
byte word = 0;
byte asleep = 0;        /* who sleeps on the word: one bit each. The kernel's queue without its order: any may be woken */

#define ME  (_pid + 1)  /* thread id */
#define BIT (1 << _pid)

/* A LIST holds all events that there will be, each by its id. */
#define EVENTS (WRITERS * EACH * BATCH)
#if WRITERS * EACH * BATCH > 3
#define ID_BITS 3
#define LIST    int
#else
#define ID_BITS 2
#define LIST    byte
#endif

/* ---- the segment ------------------------------------------------------------------------------------------------------ */

#define GENESIS 1       /* layout::kGenesis: events start at 2 */
#define ABSENT  0       /* layout::kBeingWritten */
byte committed = GENESIS;
byte applied = GENESIS;

/* The ring. Two words stand for the 31 of an event; they agree exactly when the checksum does. */
byte slot_seq[RING];
byte slot_a[RING];
byte slot_b[RING];
#define SLOT(seq) ((seq) % RING)

/* Two records that every event changes, two copies each (layout::Versioned). A value is the list of events that made it:
   what was there before, shifted, and the event's id. So a lost, a repeated and a swapped event all show. */
byte copy_seq[4] = GENESIS;
LIST copy_value[4];
#define NEWER(r) (copy_seq[2 * (r)] > copy_seq[2 * (r) + 1] -> 2 * (r) : 2 * (r) + 1)
#define OLDER(r) (copy_seq[2 * (r)] > copy_seq[2 * (r) + 1] -> 2 * (r) + 1 : 2 * (r))

byte index[EVENTS];     /* core::insert_word: probes for its own word or an empty one */

byte durable = GENESIS; /* the watermark of the journal */
byte host_word = 0;     /* the host mutex: only ever tried, so nobody waits for it */

/* ---- not in the real code: what is checked with ----------------------------------------------------------------------- */

byte inside = 0;        /* thread id of the live process that holds the lock */
LIST log = 0;           /* the ids of all committed events, in their order, as in copy_value */
byte kills = KILLS;
byte running = WRITERS; /* writers that have neither ended nor been buried by the kernel */

#define LOGGED(seq) ((log >> (ID_BITS * (committed - (seq)))) & ((1 << ID_BITS) - 1))

/* Under the lock and nothing left to repair (INV-2, INV-3): every record and the index say what the log says. */
#define TABLES_ARE_WHOLE \
    assert(applied == committed); \
    assert(copy_seq[NEWER(0)] == committed && copy_value[NEWER(0)] == log); \
    assert(copy_seq[NEWER(1)] == committed && copy_value[NEWER(1)] == log); \
    do \
    :: at < EVENTS -> \
        assert(index[at] == (GENESIS + 1 + at <= committed -> LOGGED(GENESIS + 1 + at) : 0)); \
        at++ \
    :: at == EVENTS -> at = 0; break \
    od

#define WHOLE(seq) (slot_seq[SLOT(seq)] == (seq) && slot_a[SLOT(seq)] == slot_b[SLOT(seq)])

/* SIGKILL: from here on the process executes nothing. One that sleeps leaves the queue; one that was woken, or is on its
   way to sleep, takes that with it. */
#define KILL :: atomic { kills > 0 -> \
                         kills--; \
                         asleep = asleep & ~BIT; \
                         inside = (inside == ME -> 0 : inside); \
                         goto dead }
/* One step. */
#define STEP(what) if :: atomic { what } KILL fi

/* FUTEX_WAKE of one. */
inline wake_one() {
    if
    :: asleep & 1 -> asleep = asleep & ~1
    :: asleep & 2 -> asleep = asleep & ~2
    :: asleep & 4 -> asleep = asleep & ~4
    :: asleep & 8 -> asleep = asleep & ~8
    :: asleep & 16 -> asleep = asleep & ~16
    :: asleep == 0
    fi
}

/* RobustMutex::lock. The 200 trylocks are not there: a trylock is the first turn of clocklock without sleep, and one that
   fails leaves nothing behind. A slice that ends calls clocklock anew, which then assumes no further waiters.
   Local: `pending` is list_op_pending, `listed` membership of the robust list, `notice` EOWNERDEAD (and __owner ==
   INCONSISTENT), `assumed` glibc's assume_other_futex_waiters, `seen` the word that futex_wait is given. */
inline lock() {
    do
    :: atomic { word == 0 ->                                /* compare and exchange 0 → thread id */
                assert(inside == 0);                        /* mutual exclusion */
                word = ME | assumed;
                inside = ME;
                pending = 1; assumed = 0;
                break }
    :: atomic { (word & DIED) != 0 ->                       /* the same from OWNER_DIED: EOWNERDEAD */
                assert(inside == 0);
                word = ME | (word & WAITERS) | assumed;
                inside = ME;
                notice = 1;
                pending = 1; assumed = 0;
                break }
    :: atomic { (word & OWNER) != 0 ->                      /* compare and exchange word → word | FUTEX_WAITERS */
                assert((word & OWNER) != ME);               /* EDEADLK */
                word = word | WAITERS;
                pending = 1; assumed = WAITERS; seen = word };
        if
        :: atomic { word == seen ->                         /* FUTEX_WAIT: compares and sleeps in one */
                    asleep = asleep | BIT; seen = 0 };
            if
            :: (asleep & BIT) == 0                          /* woken */
#ifndef UNTIMED
            :: atomic { (asleep & BIT) != 0 ->              /* the slice of 1 ms has passed: at any moment */
                        asleep = asleep & ~BIT; assumed = 0 }
#endif
            KILL
            fi
        :: atomic { word != seen -> seen = 0 }              /* EAGAIN */
        KILL
        fi
    KILL
    od;
    STEP(listed = 1; pending = 0)                           /* ENQUEUE_MUTEX, list_op_pending = NULL */
}

/* pthread_mutex_unlock. */
inline unlock() {
    STEP(assert((word & OWNER) == ME);                      /* EPERM: stolen */
         assert(!notice);                                   /* would make it unrecoverable for everybody */
         pending = 1; listed = 0);                          /* DEQUEUE_MUTEX */
    if
    :: atomic { (word & WAITERS) == 0 ->                    /* exchange with 0 */
                word = 0; inside = 0 }
    :: atomic { (word & WAITERS) != 0 ->
                word = 0; inside = 0 };
       STEP(wake_one())
    KILL
    fi;
    STEP(pending = 0)                                       /* list_op_pending = NULL */
}

/* The kernel, on the exit of a process: exit_robust_list. Nothing can interrupt it, but others run between its steps. */
inline bury() {
    atomic {
        if
#ifndef NOT_ROBUST
        :: (listed || pending) && (word & OWNER) == ME ->
            wakes = (word & WAITERS) != 0;
            word = (word & WAITERS) | DIED
#endif
#ifndef OLD_KERNEL
        :: pending && (word & OWNER) == 0 -> wakes = 1      /* handle_futex_death, HANDLE_DEATH_PENDING */
#endif
        :: else
        fi;
        assert((word & OWNER) != ME);                       /* the lock never stays with the dead */
        pending = 0; listed = 0; notice = 0; assumed = 0; seen = 0; to = 0
    };
    if
    :: atomic { wakes -> wake_one(); wakes = 0 }
    :: atomic { !wakes -> skip }
    fi
}

/* ---- append, commit, apply -------------------------------------------------------------------------------------------- */

/* Id of the nth event of a writer's operation `done`. */
#define MINE(nth) (((done - 1) * WRITERS + _pid) * BATCH + (nth) + 1)

/* core::write_event for each event of the operation, behind `seq`. */
inline write_events(seq) {
    do
    :: nth < BATCH ->
        STEP(slot_seq[SLOT((seq) + 1 + nth)] = ABSENT);
        STEP(slot_a[SLOT((seq) + 1 + nth)] = MINE(nth));
        STEP(slot_b[SLOT((seq) + 1 + nth)] = MINE(nth));
        STEP(slot_seq[SLOT((seq) + 1 + nth)] = (seq) + 1 + nth; nth++)
    :: nth == BATCH -> nth = 0; break
    od
}

/* core::commit: ONE store. From here on the events are in the log. */
inline commit(seq) {
    STEP(committed = seq;
         do
         :: nth < BATCH -> log = (log << ID_BITS) | MINE(nth); nth++
         :: nth == BATCH -> nth = 0; break
         od)
}

/* Versioned<T>::update of record r from event `seq`. `to` is the copy to be written. It is kept in a variable: pan undoes an
   assignment by evaluating its index again, which must not depend on what was assigned. */
inline update(r, seq, id) {
    if
    :: atomic { copy_seq[NEWER(r)] < (seq) ->
#ifdef ONE_COPY
                to = NEWER(r) };
#else
                to = OLDER(r); copy_seq[to] = ABSENT };
#endif
       STEP(copy_value[to] = (copy_value[NEWER(r)] << ID_BITS) | (id));
       STEP(copy_seq[to] = seq; to = 0)
    :: atomic { copy_seq[NEWER(r)] >= (seq) -> skip }       /* this event was here before */
    KILL
    fi
}

/* core::apply of the event in the ring: nothing but the event and the version before. */
inline apply(seq) {
    update(0, seq, slot_a[SLOT(seq)]);
    update(1, seq, slot_a[SLOT(seq)]);
    STEP(do
         :: index[at] != 0 && index[at] != slot_a[SLOT(seq)] -> at++
         :: index[at] == 0 || index[at] == slot_a[SLOT(seq)] -> index[at] = slot_a[SLOT(seq)]; at = 0; break
         od);
    STEP(applied = seq)
}

/* Every committed event, in order, `applied` after each. */
inline apply_all() {
    do
    :: applied < committed -> apply(applied + 1)
    :: applied >= committed -> break
    od
}

/* core::repair, rows R1 and R2. R3 must not come up: nobody damages memory here. */
inline repair() {
    STEP(assert(applied <= committed && committed <= applied + BATCH);
         do
         :: applied + 1 + at <= committed -> assert(WHOLE(applied + 1 + at)); at++
         :: applied + 1 + at > committed -> at = 0; break
         od);
#ifdef NO_REDO
    STEP(applied = committed)
#else
    apply_all()
#endif
}

/* segment::StateLock and its make_whole: returns inside, with whole tables. */
inline enter() {
    lock();
#if defined(CONSISTENT_FIRST)
    do
    :: atomic { !notice -> break }
    :: atomic { notice -> notice = 0 };
       unlock();
       lock();
       repair()
    KILL
    od;
#elif defined(CONSISTENT_EARLY)
    if
    :: atomic { !notice && committed == applied -> skip }
    :: atomic { notice || committed != applied -> notice = 0 };
       repair()
    KILL
    fi;
#else
    if
#ifdef NOTICE_ONLY
    :: atomic { !notice -> skip }
    :: atomic { notice -> skip };
#else
    :: atomic { !notice && committed == applied -> skip }
    :: atomic { notice || committed != applied -> skip };
#endif
       repair();
       STEP(notice = 0)                                     /* pthread_mutex_consistent */
    KILL
    fi;
#endif
}

/* ---- a writer --------------------------------------------------------------------------------------------------------- */

active [WRITERS] proctype Writer() {
    byte done, nth;
    bit pending, listed, notice, wakes;
    byte assumed, seen, to, at;

    do
    :: atomic { done < EACH -> done++ };
        enter();
        STEP(TABLES_ARE_WHOLE);                             /* decide: reads what it likes */
#ifdef SWAPPED_COMMIT
        commit(committed + BATCH);
        write_events(committed - BATCH);
#else
        write_events(committed);
        commit(committed + BATCH);
#endif
        apply_all();
        STEP(TABLES_ARE_WHOLE);
        unlock()
    :: atomic { done == EACH -> running--; goto ended }
    od;
dead:
    bury();
    atomic { running--; done = EACH; nth = 0 };
ended:
    skip
}

/* ---- the snapshotter's host ------------------------------------------------------------------------------------------- */

#ifdef READ_AHEAD
#define READABLE (committed >= next || slot_seq[SLOT(next)] == next)
#else
#define READABLE (committed >= next)
#endif
#ifdef NO_RECHECK
#define AS_IT_WAS there
#else
#define AS_IT_WAS (there && slot_seq[SLOT(next)] == next && a == b)
#endif

active [HOSTS] proctype Host() {
    bit pending, listed, notice, wakes;
    byte assumed, seen, to, at;
    byte next, upto, a, b;
    bit there;

begin:
    /* Snapshotter::try_take_over: only when the mutex is free or its owner dead, never by time. */
    STEP((host_word & OWNER) == 0 -> host_word = ME);
    /* Journaller::start: what lies behind `durable` in the files is not trusted, and written again out of the ring. */
    STEP(next = durable + 1);

    do
    :: atomic { READABLE -> upto = (committed >= next -> committed : next) };       /* Journaller::write_batch */
        do
        :: atomic { next > upto -> break }
        :: atomic { next <= upto -> there = (slot_seq[SLOT(next)] == next) };       /* read_events */
           STEP(a = slot_a[SLOT(next)]);
           STEP(b = slot_b[SLOT(next)]);
           if
           :: atomic { AS_IT_WAS ->                         /* JournalWriter::append */
                       assert(next <= committed);           /* never ahead */
                       assert(a == LOGGED(next) && b == a); /* what is in the log, and nothing else */
                       there = 0; a = 0; b = 0;
                       next++ }
           :: atomic { !AS_IT_WAS ->                        /* lapped: a consistent copy stands for what is missing */
                       assert(committed + BATCH >= next + RING); /* never but when the ring went round */
                       there = 0; a = 0; b = 0;
                       next = committed + 1; upto = 0;
                       break }
           KILL
           fi
        KILL
        od;
        STEP(assert(next - 1 >= durable && next - 1 <= committed);
             assert((next - 1 - GENESIS) % BATCH == 0);     /* a batch is on disk as a whole or not at all */
             durable = next - 1; upto = 0)                  /* synced; publish */
    :: atomic { (word & DIED) != 0 -> skip };               /* look_after_the_dead */
       enter();
       STEP(TABLES_ARE_WHOLE);
       unlock()
    :: atomic { running == 0 && committed < next && (word & DIED) == 0 -> break }
    KILL
    od;

    /* Everybody has ended: nothing is lost, nothing is left over. */
    STEP(assert(word == 0 && asleep == 0 && inside == 0);
         TABLES_ARE_WHOLE;
         assert(durable == committed);
         host_word = 0);
    goto ended;
dead:
    bury();
    /* exit_robust_list goes on to the host mutex; then its successor begins. */
    atomic {
        host_word = (host_word == ME -> DIED : host_word);
        next = 0; upto = 0; a = 0; b = 0; there = 0;
        goto begin
    };
ended:
    skip
}
