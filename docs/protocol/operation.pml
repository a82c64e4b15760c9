/* What the code does to one operation, for Spin. README.md says what is modelled and names the line of code behind
 * every guard; check.sh runs it.
 *
 * One row (each statement on it is atomic, as one SQL transaction is), a store of checkpoint objects, a store of models,
 * two workers, clients that resume and cancel, the sweep of orphans, the sweep of files, and a network that loses answers
 * and delivers a second copy of a request at any later moment. A worker that is frozen is one that the scheduler doesn't
 * run; the lease may lapse at any moment, also that of a healthy worker.
 *
 * A checkpoint is a number, SLOT(attempt, sequence); 0 is "none". A position counts what a training has to save:
 * 1 is the first checkpoint, before the first batch; MAXP is the end.
 */

/* ---- guards: 1 is the code, 0 is a known mistake ---- */
#ifndef RESUME_CAS
#define RESUME_CAS 1
#endif
#ifndef RESUME_CLEARS
#define RESUME_CLEARS 1
#endif
#ifndef CLAIM_CAS
#define CLAIM_CAS 1
#endif
#ifndef NEW_ID
#define NEW_ID 1
#endif
#ifndef FENCE_ATTEMPT
#define FENCE_ATTEMPT 1
#endif
#ifndef FENCE_OWNER
#define FENCE_OWNER 1
#endif
#ifndef FENCE_RUNNING
#define FENCE_RUNNING 1
#endif
#ifndef PARENT
#define PARENT 1
#endif
#ifndef SEQUENCE
#define SEQUENCE 1
#endif
#ifndef REPEAT
#define REPEAT 1
#endif
#ifndef OBJECT_NAMES
#define OBJECT_NAMES 1
#endif
#ifndef POINTER
#define POINTER 1
#endif
#ifndef ORPHAN
#define ORPHAN 1
#endif
#ifndef ORPHAN_CAS
#define ORPHAN_CAS 1
#endif
#ifndef ORPHAN_CANCEL
#define ORPHAN_CANCEL 1
#endif
#ifndef RESTART_CANCEL
#define RESTART_CANCEL 1
#endif
#ifndef RESTART_ATTEMPT
#define RESTART_ATTEMPT 1
#endif
#ifndef CANCEL_CAS
#define CANCEL_CAS 1
#endif
#ifndef REWIND
#define REWIND 1
#endif
#ifndef REWIND_CAS
#define REWIND_CAS 1
#endif
#ifndef KEEP_TWO
#define KEEP_TWO 1
#endif
#ifndef ROWS_FIRST
#define ROWS_FIRST 1
#endif
#ifndef SWEEP_SPARES
#define SWEEP_SPARES 1
#endif
#ifndef SWEEP_LISTS
#define SWEEP_LISTS 1
#endif
#ifndef PUBLISH_FIRST
#define PUBLISH_FIRST 1
#endif
#ifndef MODEL_NAMES
#define MODEL_NAMES 1
#endif
#ifndef KEEP_SENDING
#define KEEP_SENDING 1
#endif
#ifndef KEEP_REFUSED
#define KEEP_REFUSED 1
#endif

/* ---- bounds ---- */
#ifndef MAXATT
#define MAXATT 3   /* attempts */
#endif
#ifndef MAXP
#define MAXP 3     /* positions: the first checkpoint and two epochs */
#endif
#ifndef FAULTS
#define FAULTS 2   /* of any kind: kill -9, SIGTERM, a cancel, a lost answer, a late copy, a bad checkpoint, a sweep of files */
#endif

#ifndef RESTARTS
#define RESTARTS 1 /* 1: --max-restarts; a lapse may be followed by the next attempt at once, a SIGTERM is */
#endif

#define NSEQ (2 * MAXP)  /* numbers 1 .. 2 * MAXP - 1: after a rewind to the first, all the others are saved again */
#define SLOT(a, s) (OBJECT_NAMES -> (a) * NSEQ + (s) : (s))
#define MODEL(a) (MODEL_NAMES -> (a) : 0)

mtype = { PENDING, RUNNING, CANCELLED, FAILED, COMPLETED };                /* status */
mtype = { CLAIM, COMMIT, REWIND_BACK, STOPPED, HANDED_BACK, COMPLETE };    /* requests */
mtype = { OK, STALE, CONFLICT, SILENCE };                                  /* answers */

/* ---- the row ---- */
mtype status = PENDING;
byte attempt = 1, owner = 0;
bit cancel_requested = 0;
byte current = 0, current_a = 0, current_p = 0;     /* the pointer; whose it is and its position */
byte previous = 0, previous_a = 0, previous_p = 0;  /* the other checkpoint row */
byte dropped = 0;                                   /* what the current one's commit dropped */
byte last_sequence = 0;

/* ---- the files ---- */
byte object[(MAXATT + 1) * NSEQ];  /* 0: not there; else the attempt whose bytes it holds */
byte damaged = 0;                  /* this object's bytes are bad */
byte model[MAXATT + 1];            /* as `object` */

/* ---- the network: one request that is still on its way ---- */
mtype late = 0;
byte late_a, late_w, late_s, late_p, late_from;

/* ---- what may still happen ---- */
byte faults = FAULTS;

byte training[3];  /* ghost: the attempt that worker 1, 2 trains; 0: none */

bit waiting;       /* worker 1 is between its dispatch and its claim. Of two idle workers, which are alike, the first begins. */

/* S1 What a row names is there, and is what that row's attempt wrote. */
#define HELD(slot, a) (slot == 0 || object[slot] == a)
#define CHECKPOINTS_HELD assert(HELD(current, current_a) && HELD(previous, previous_a))

/* S2 Finished is finished, and its model is there. */
#define MODEL_HELD assert(status != COMPLETED || model[MODEL(attempt)] == attempt)

/* S3 Nothing is accepted but from the owner of the current attempt of a running row. */
#define RIGHTFUL(a, w) assert(status == RUNNING && attempt == a && owner == w)

#define FENCED(a, w) ((!FENCE_RUNNING || status == RUNNING) && (!FENCE_ATTEMPT || attempt == a) && (!FENCE_OWNER || owner == w))

/* ================ the server: one statement each ================ */

#define RESTARTABLE (RESTARTS && attempt < MAXATT && (!cancel_requested || !RESTART_CANCEL))

inline restart() {
  assert(!cancel_requested);                      /* S14 a cancel wins over a restart */
  if
  :: RESTART_ATTEMPT -> attempt++
  :: else
  fi;
  owner = 0
}

inline serve_claim(a, w, answer) {
  if
  :: (status == PENDING || status == RUNNING) && attempt == a && (owner == 0 || !CLAIM_CAS) && !cancel_requested ->
       status = RUNNING; owner = w; answer = OK
  :: else ->
       if
       :: status == RUNNING && attempt == a && owner == w -> answer = OK   /* asked before */
       :: else -> answer = STALE
       fi
  fi
}

inline serve_commit(a, w, s, p, parent, answer) {
  if
  :: FENCED(a, w) && (!PARENT || current == parent) && (!SEQUENCE || last_sequence < s) ->
       RIGHTFUL(a, w);
       assert(p > current_p);                          /* S4 never back */
       dropped = previous;
       if
       :: KEEP_TWO -> previous = current; previous_a = current_a; previous_p = current_p
       :: else -> dropped = current; previous = 0; previous_a = 0; previous_p = 0
       fi;
       current = SLOT(a, s); current_a = a; current_p = p;
       last_sequence = s; answer = OK;
       CHECKPOINTS_HELD
  :: else ->
       if
       :: !FENCED(a, w) -> answer = STALE
       :: else ->
            if
            :: REPEAT && current == SLOT(a, s) -> answer = OK
            :: else -> answer = CONFLICT
            fi
       fi
  fi
}

inline serve_rewind(a, w, bad, answer) {
  if
  :: FENCED(a, w) && previous != 0 && (!REWIND_CAS || current == bad) ->
       RIGHTFUL(a, w);
       assert(current == damaged);                     /* S5 nothing whole is given up */
       current = previous; current_a = previous_a; current_p = previous_p;
       previous = 0; previous_a = 0; previous_p = 0; dropped = 0; answer = OK
  :: else -> answer = STALE
  fi
}

inline serve_end(kind, a, w) {
  if
  :: FENCED(a, w) ->
       RIGHTFUL(a, w);
       if
       :: kind == COMPLETE ->
            status = COMPLETED; dropped = 0;
            current = 0; current_a = 0; current_p = 0; previous = 0; previous_a = 0; previous_p = 0;
            MODEL_HELD
       :: kind == HANDED_BACK && RESTARTABLE -> restart()
       :: else -> status = CANCELLED
       fi
  :: else   /* asked before, or superseded: either way the worker is done */
  fi
}

/* ================ the network ================ */

/* A second copy of this request may stay on its way. */
inline maybe_twice(kind, a, w, s, p, from_) {
  if
  :: faults > 0 && late == 0 -> faults--; late = kind; late_a = a; late_w = w; late_s = s; late_p = p; late_from = from_
  :: true
  fi
}

inline maybe_lost(answer) {
  if
  :: faults > 0 -> faults--; answer = SILENCE
  :: true
  fi
}

proctype Network() {
  mtype answer;
end_network:
  do
  :: atomic {
       late != 0 ->
       if
       :: late == CLAIM -> serve_claim(late_a, late_w, answer)
       :: late == COMMIT -> serve_commit(late_a, late_w, late_s, late_p, late_from, answer)
       :: late == REWIND_BACK -> serve_rewind(late_a, late_w, late_from, answer)
       :: late == STOPPED || late == HANDED_BACK || late == COMPLETE -> serve_end(late, late_a, late_w)
       fi;
       late = 0; late_a = 0; late_w = 0; late_s = 0; late_p = 0; late_from = 0; answer = 0
     }
  od
}

/* ================ a worker ================ */

inline put_object() {
  p++;
  if
  :: newest != 0 -> object[newest] = 0      /* nobody has heard of it */
  :: else
  fi;
  if
  :: !KEEP_SENDING && sending != 0 -> object[sending] = 0
  :: else
  fi;
  newest = SLOT(a, next); newest_s = next; newest_p = p; next++;
  assert(!OBJECT_NAMES || object[newest] == 0);   /* write-once: two never meet at one name */
  object[newest] = a;
  if
  :: !POINTER && current != 0 ->                  /* rename to "latest" moves it, whoever does so */
       assert(status == RUNNING && attempt == a && owner == w)
  :: else
  fi;
  CHECKPOINTS_HELD
}

/* Nobody will ever name this object again: the sweep takes it some day, the model takes it now and has fewer states. */
inline forget(slot_) {
  if
  :: OBJECT_NAMES && slot_ != 0 && slot_ != current && slot_ != previous -> object[slot_] = 0
  :: else
  fi
}

proctype Worker(byte me) {
  byte w, a, from, bad;             /* who, which attempt, where it goes on from, what was found bad */
  byte p, next;                     /* position, next sequence number */
  byte acknowledged;                /* the writer's: rule 4's parent */
  byte sending, sending_s, sending_p, newest, newest_s, newest_p;
  byte to_delete;
  bit published;
  mtype stop, answer, last_word;    /* stop: CANCELLED on request, FAILED for SIGTERM */
  w = (NEW_ID -> me : 1);

end_idle:
  do
  :: atomic {                       /* dispatched: it reads the job and restores, and only then claims */
       (status == PENDING || status == RUNNING) && owner == 0 && (me == 1 || training[1] != 0 || waiting) ->
       waiting = (me == 1 -> 1 : waiting);
       a = attempt; from = current; p = current_p;
       if
       :: current != 0 && current == damaged ->
            assert(previous != 0 && previous != damaged);   /* S6 one bad checkpoint never is the end */
            bad = current; from = previous; p = previous_p
       :: else
       fi
     };
claim:
     atomic {
       maybe_twice(CLAIM, a, w, 0, 0, 0);
       serve_claim(a, w, answer);
       next = last_sequence + 1; acknowledged = current;
       maybe_lost(answer);
       if
       :: answer == SILENCE -> goto claim
       :: answer == SILENCE -> goto gone          /* given up: the row has an owner that doesn't know */
       :: answer == STALE -> goto gone
       :: answer == OK ->
            assert(training[3 - me] != a);        /* S7 one attempt, one worker */
            training[me] = a; waiting = (me == 1 -> 0 : waiting)
       fi
     };
     atomic {
       if
       :: bad != 0 && REWIND ->
            maybe_twice(REWIND_BACK, a, w, 0, 0, bad);
            serve_rewind(a, w, bad, answer);
            maybe_lost(answer);
            if
            :: answer != OK -> goto gone
            :: else -> acknowledged = from; forget(bad)
            fi
       :: else
       fi
     };
     do
     :: atomic {                                 /* train, and save where it stands */
          p < MAXP && (p == 0 || (stop == 0 && acknowledged != 0)) -> put_object()
        }
     :: atomic {                                 /* the writer takes the newest */
          sending == 0 && newest != 0 && to_delete == 0 ->
          sending = newest; sending_s = newest_s; sending_p = newest_p; newest = 0; newest_s = 0; newest_p = 0;
          if
          :: !ROWS_FIRST && previous != 0 -> object[previous] = 0; CHECKPOINTS_HELD
          :: else
          fi
        }
     :: atomic {                                 /* and asks until there is an answer */
          sending != 0 ->
          maybe_twice(COMMIT, a, w, sending_s, sending_p, acknowledged);
          /* S8 no fork: it continues what it was trained from, or what this very run committed */
          assert(!FENCED(a, w) || current == from || current_a == a);
          serve_commit(a, w, sending_s, sending_p, acknowledged, answer);
          if
          :: answer == OK -> to_delete = dropped
          :: else
          fi;
          assert(answer != CONFLICT);            /* S9 the owner is never refused */
          maybe_lost(answer);
          if
          :: answer == OK -> acknowledged = sending; sending = 0; sending_s = 0; sending_p = 0
          :: answer == SILENCE -> to_delete = 0
          :: answer == STALE ->
               if
               :: !KEEP_REFUSED -> object[sending] = 0; CHECKPOINTS_HELD
               :: else
               fi;
               goto gone
          fi
        }
     :: atomic { to_delete != 0 -> object[to_delete] = 0; to_delete = 0; CHECKPOINTS_HELD }
     :: atomic { !FENCED(a, w) -> goto gone }    /* a heartbeat is refused */
     :: atomic { FENCED(a, w) && cancel_requested && stop == 0 && !published -> stop = CANCELLED }
     :: atomic { faults > 0 && stop == 0 && !published -> faults--; stop = FAILED }
     :: atomic {
          stop != 0 && p > 0 && (stop == FAILED || (sending == 0 && newest == 0)) ->
          last_word = (stop == FAILED -> HANDED_BACK : STOPPED);
          maybe_twice(last_word, a, w, 0, 0, 0);
          serve_end(last_word, a, w);
          last_word = 0;
          answer = OK;
          maybe_lost(answer);
          if
          :: answer == OK -> goto gone
          :: else
          fi
        }
     :: atomic {                                 /* the model, by its attempt's name */
          p == MAXP && stop == 0 && !published ->
          if
          :: PUBLISH_FIRST -> model[MODEL(a)] = a; MODEL_HELD
          :: else
          fi;
          published = 1
        }
     :: atomic {
          published ->
          maybe_twice(COMPLETE, a, w, 0, 0, 0);
          serve_end(COMPLETE, a, w);
          answer = OK;
          maybe_lost(answer);
          if
          :: answer == OK -> goto gone
          :: else
          fi
        }
     :: atomic { faults > 0 -> faults--; goto gone }
     od;
gone:
     atomic {
       training[me] = 0; waiting = (me == 1 -> 0 : waiting);
       forget(newest); forget(to_delete);
       if
       :: late == 0 -> forget(sending)
       :: else
       fi;
       a = 0; from = 0; bad = 0; p = 0; next = 0; acknowledged = 0; to_delete = 0; published = 0; stop = 0; answer = 0;
       sending = 0; sending_s = 0; sending_p = 0; newest = 0; newest_s = 0; newest_p = 0
     }
  od
}

/* ================ clients, sweeps, the disk ================ */

#define RESUMABLE ((status == FAILED || status == CANCELLED) && current != 0)

inline resume() {
  assert(RESUMABLE);                              /* S10 a resume never cuts off a run that lives */
  status = RUNNING; attempt++; owner = 0;
  if
  :: RESUME_CLEARS -> cancel_requested = 0
  :: else
  fi
}

proctype Client() {
end_client:
  do
#if RESUME_CAS
  :: atomic { RESUMABLE && attempt < MAXATT -> resume() }
#else
  :: RESUMABLE && attempt < MAXATT ->
     atomic {
       if
       :: attempt < MAXATT -> resume()
       :: else
       fi
     }
#endif
  od
}

#define CANCELLABLE (status == PENDING || status == RUNNING)

inline cancel(who) {
  assert(CANCELLABLE && owner == who);            /* S11 a claimed run ends by its worker, or by the orphan sweep */
  cancel_requested = 1;
  if
  :: who == 0 -> status = CANCELLED
  :: else
  fi
}

proctype Canceller() {
  byte seen;
end_canceller:
  do
#if CANCEL_CAS
  :: atomic { faults > 0 && CANCELLABLE && !cancel_requested -> faults--; cancel(owner) }
#else
  :: atomic { faults > 0 && CANCELLABLE && !cancel_requested -> faults--; seen = owner };
     atomic { cancel(seen); seen = 0 }
#endif
  od
}

inline end_orphan() {
  assert(status == RUNNING);                      /* S12 who finished in between stays finished */
  if
  :: cancel_requested && ORPHAN_CANCEL -> status = CANCELLED
  :: !cancel_requested || !ORPHAN_CANCEL -> status = FAILED   /* also with none left, or when a batch failed twice */
  :: RESTARTABLE -> restart()
  fi;
  assert(!(cancel_requested && status == FAILED)) /* S13 what was to be cancelled doesn't fail */
}

proctype Orphans() {
end_orphans:
  do
#if ORPHAN && ORPHAN_CAS
  :: atomic { status == RUNNING && owner != 0 -> end_orphan() }
#elif ORPHAN
  :: status == RUNNING && owner != 0 -> atomic { end_orphan() }
#else
  :: false
#endif
  od
}

/* One object of the list; the others are like it. */
inline choose_listed() {
  slot = 1;
  do
  :: slot < (MAXATT + 1) * NSEQ - 1 -> slot++
  :: object[slot] != 0 -> break
  :: slot == (MAXATT + 1) * NSEQ - 1 -> break
  od;
  if
  :: object[slot] == 0 -> slot = 0
  :: else
  fi
}

#define CURRENT_ATTEMPT (SWEEP_SPARES && status == RUNNING -> attempt : 255)

proctype Files() {
  byte slot, keep1, keep2, spared;
end_files:
  do
#if SWEEP_LISTS
  :: atomic { faults > 0 -> faults--; choose_listed() };
     atomic { keep1 = current; keep2 = previous; spared = CURRENT_ATTEMPT };
#else
  :: atomic { faults > 0 -> faults--; keep1 = current; keep2 = previous; spared = CURRENT_ATTEMPT };
     atomic { choose_listed() };
#endif
     atomic {
       if
       :: slot != 0 && slot != keep1 && slot != keep2 && slot / NSEQ < spared -> object[slot] = 0; CHECKPOINTS_HELD
       :: else
       fi;
       slot = 0; keep1 = 0; keep2 = 0; spared = 0
     }
  od
}

proctype Disk() {
end_disk:
  do
  :: atomic { faults > 0 && damaged == 0 && current_p > 1 -> faults--; damaged = current }
  od
}

init {
  atomic { run Network(); run Worker(1); run Worker(2); run Client(); run Canceller(); run Orphans(); run Files(); run Disk()
#if !RESUME_CAS
    ; run Client()
#endif
  }
}

/* L1 A running row doesn't stay so for ever with nobody training it; L2 a cancel request ends in an end. */
#define abandoned (status == RUNNING && (owner == 0 || training[owner] != attempt))
#define asked (status == RUNNING && cancel_requested)
ltl trained { [] (abandoned -> <> !abandoned) }
ltl stops { [] (asked -> <> !asked) }
