------------------------------ MODULE multilock ------------------------------
(* The lock of `docs/protocol.md`, in its words: tasks and threads acquire it again and again, each in one mode, and may upgrade. One step *)
(* is one write of the word, with what is done in the same critical section of the queue; those of one `wake` are one step. Left out are   *)
(* sets, tries, downgrades, canceled upgrades, limits, and threads that are not exclusive. At most four lost races count, and not seven.   *)
EXTENDS Naturals, Sequences
CONSTANTS Tasks, None,
  Mode,      \* the mode of each task: "S", "U" or "X"
  Threads,   \* exclusive tasks that block: they are always polled when woken
  Without,   \* the name of a rule that is left out, or "nothing": see `Has`
  InTime,    \* in each moment all holders release, all releases end, and all woken waiters are polled that are not dormant
  Dormancy,  \* a waiter may stop being polled, at any point of its wait
  Drops      \* a waiter may be dropped, at any point of its wait
VARIABLES st,       \* "idle", "queued", "deferring" (queued, and woken by itself), "notified", "handed" (holds the lock, and was not polled),
                    \* a holder's mode "S", "U" or "X", or "W" (upgrades), "leaving" or "gone"
  lost, over,       \* how many races the waiter has lost; the waiters that are counted as overtaken
  list, resv,       \* the queue: its lists, and the reservation
  turn,             \* whether exclusive waiters had the last turns, or the others, and how many: if one has entered, three
  wakes,            \* for each task that is leaving, what it saw in the word
  dormant           \* the waiters that are not polled any more
queue == <<over, list, resv, turn>>
vars == <<st, lost, queue, wakes, dormant>>
Has(rule) == Without # rule
Free == [owner |-> None, claim |-> 0, binds |-> FALSE, moment |-> "new", counted |-> {}]  NoTurn == [x |-> FALSE, n |-> 0]
Init == /\ st = [t \in Tasks |-> "idle"] /\ lost = [t \in Tasks |-> 0] /\ over = {} /\ wakes = {} /\ dormant = {}
        /\ list = [l \in {"U", "X", "O"} |-> <<>>] /\ resv = Free /\ turn = NoTurn
Waits(t) == st[t] \in {"queued", "deferring", "notified", "handed"}
Woken(t) == st[t] \in {"deferring", "notified", "handed"} /\ t \notin dormant
(* The word: the modes that are held, and the waiting flags, with "O" for overtaken. A flag is set iff its count is not zero. *)
WordOf(s, o) ==
  [held |-> {s[t] : t \in {u \in Tasks : s[u] \in {"S", "U", "W", "X"}}} \cup {Mode[t] : t \in {u \in Tasks : s[u] = "handed"}},
   flags |-> {Mode[t] : t \in {u \in Tasks : s[u] \in {"queued", "deferring", "notified", "handed"}}} \cup (IF o = {} THEN {} ELSE {"O"})]
Word == WordOf(st, over)
(* `fits`: the holders leave room, which is enough for a notified waiter. And `admits`, for others: no exclusive waiter is counted, either. *)
Fits(m, w) == w.held \cap (CASE m = "S" -> {"W", "X"} [] m = "U" -> {"U", "W", "X"} [] m = "X" -> {"S", "U", "W", "X"}) = {}
Admits(m, w) == Fits(m, w) /\ (w.held = {} \/ "X" \notin w.flags)
Could(t) == CASE st[t] = "handed" -> TRUE [] st[t] = "notified" -> Fits(Mode[t], Word) [] OTHER -> Admits(Mode[t], Word)
(* Other waiters that could exclude the owner of the reservation defer to it; notified ones once it binds them. *)
Applies(t, notified) == resv.owner \notin {None, t} /\ (Mode[t] # "S" \/ Mode[resv.owner] = "X") /\ (notified => resv.binds)
(* A newcomer looks for a reservation only if a waiter is counted as overtaken. *)
MustDefer(t) == st[t] # "handed" /\ Applies(t, st[t] = "notified") /\ (st[t] = "idle" => over # {})
Defers(t) == MustDefer(t) /\ resv.moment # "over"
First(l) == IF list[l] = <<>> THEN {} ELSE {Head(list[l])}
Joined(t) == IF st[t] = "idle" /\ Mode[t] # "S" THEN [list EXCEPT ![Mode[t]] = Append(@, t)] ELSE list
LeftBy(t, l) == [i \in DOMAIN l |-> SelectSeq(l[i], LAMBDA u : u # t)]
Forgets(t) == IF resv.owner = t THEN Free ELSE [resv EXCEPT !.counted = @ \ {t}]
(* The next turn at the free lock, where both sides wait: that of exclusive waiters, if `x`, or of the others, unless they have had theirs.  *)
NextTurn(x) == IF turn.n = 0 \/ turn.x # x THEN [x |-> x, n |-> 1] ELSE IF turn.n = 3 THEN [x |-> ~x, n |-> 1] ELSE [x |-> x, n |-> turn.n + 1]
(* Waiters that are woken, `n`, end the row of the other side, but shared ones not while an upgradable one waits. *)
Ended(n, from) == IF \E t \in n : (Mode[t] = "X") # from.x /\ (Mode[t] = "S" => \A u \in Tasks : Mode[u] = "U" => ~Waits(u)) THEN NoTurn ELSE from
(* Turns count while the other side waits, here in the new state. A woken waiter that enters ends those of its side, or those of the other.  *)
Kept(from) == IF \E t \in Tasks : (Mode[t] = "X") # from.x /\ Waits(t)' THEN from ELSE NoTurn
Entered(t) == IF st[t] \notin {"notified", "handed"} \/ turn.n = 0 THEN turn
              ELSE IF turn.x = (Mode[t] = "X") THEN [turn EXCEPT !.n = 3] ELSE IF Mode[t] = "S" THEN turn ELSE NoTurn
(* A look at the moment begins it. *)
Looked == IF resv.moment = "new" THEN [resv EXCEPT !.moment = "begun"] ELSE resv
(* A waiter that has lost two races reserves the lock, unless another one has that has lost as many. *)
Reserve(t, races, binds) ==
  IF races < 2 \/ ~Has("reservations") THEN resv
  ELSE IF resv.owner \in {None, t} \/ resv.moment = "over" \/ (Has("claims") /\ races > resv.claim)
  THEN [owner |-> t, claim |-> races, binds |-> binds, moment |-> "new", counted |-> {}] ELSE Looked
Races(t) == IF lost[t] < 4 THEN lost[t] + 1 ELSE 4
(* An overtaken thread is handed the lock, unless it has to defer: by a release, or by a waiter that was not notified, and sleeps then. *)
IsHandoff(t) == t \in Threads \cap over /\ ~Applies(t, TRUE)
HandsOff(t) == /\ st[t] \in {"idle", "queued", "deferring"} /\ First("O") \cap (Threads \ {t}) # {} /\ Word.flags \subseteq {"X", "O"}
HandOff(t) ==
  /\ \E h \in First("O") : /\ st' = [st EXCEPT ![t] = "queued", ![h] = IF IsHandoff(h) THEN "handed" ELSE "notified"]
                           /\ list' = LeftBy(h, Joined(t))
  /\ resv' = (IF MustDefer(t) THEN Free ELSE resv) /\ UNCHANGED <<lost, over, turn, wakes, dormant>>
(* A waiter or newcomer that is polled enters if it could, unless it defers. One that finds the moment over ends the reservation. *)
Enter(t) ==
  /\ st' = [st EXCEPT ![t] = Mode[t]] /\ lost' = [lost EXCEPT ![t] = 0] /\ over' = over \ {t}
  /\ list' = LeftBy(t, list) /\ resv' = (IF MustDefer(t) THEN Free ELSE Forgets(t))
  /\ turn' = Kept(Entered(t)) /\ UNCHANGED <<wakes, dormant>>
(* Else it defers: it wakes itself, and looks again. A notified waiter stays notified, and has lost a race, once for each reservation. *)
Defer(t) ==
  /\ LET counts == Has("counts") /\ st[t] = "notified" /\ t \notin resv.counted
     IN  /\ lost' = [lost EXCEPT ![t] = IF counts THEN Races(t) ELSE @]
         /\ LET r == IF counts THEN Reserve(t, Races(t), TRUE) ELSE resv
            IN  resv' = IF r.owner # resv.owner THEN r ELSE [Looked EXCEPT !.counted = IF counts THEN @ \cup {t} ELSE @]
  /\ st' = [st EXCEPT ![t] = IF @ = "notified" THEN @ ELSE "deferring"] /\ list' = Joined(t) /\ UNCHANGED <<over, turn, wakes, dormant>>
(* Or it is queued, and sets its flag in the same write. *)
Wait(t) == /\ st' = [st EXCEPT ![t] = "queued"] /\ list' = Joined(t) /\ UNCHANGED <<lost, over, resv, turn, wakes, dormant>>
(* A notified waiter that finds the lock held was overtaken, and goes before those that were not: it has lost a race. *)
Overtaken(t) ==
  /\ st' = [st EXCEPT ![t] = "queued"] /\ lost' = [lost EXCEPT ![t] = Races(t)] /\ over' = over \cup {t}
  /\ list' = CASE Mode[t] = "X" -> [list EXCEPT !["O"] = Append(@, t)]
               [] Mode[t] = "U" -> [list EXCEPT !["U"] = <<t>> \o @]
               [] Mode[t] = "S" -> list
  /\ resv' = Reserve(t, Races(t), FALSE) /\ UNCHANGED <<turn, wakes, dormant>>
Poll(t) ==
  /\ t \notin dormant /\ (Waits(t) \/ st[t] = "idle")
  /\ IF Could(t) THEN IF Defers(t) THEN Defer(t) ELSE IF HandsOff(t) THEN HandOff(t) ELSE Enter(t)
     ELSE IF st[t] = "notified" THEN Overtaken(t) ELSE Wait(t)
(* A newcomer yields one poll while a waiter is counted as overtaken, and looks at the moment. It need not: 255 others may have yielded. *)
Yield(t) == /\ st[t] = "idle" /\ Could(t) /\ resv.owner # None /\ over # {}
            /\ resv' = (IF resv.moment = "over" THEN Free ELSE Looked) /\ UNCHANGED <<st, lost, over, list, turn, wakes, dormant>>
(* The moment is over at some time: then notified waiters either defer or are dormant. *)
Tick == /\ Has("ends") /\ resv.moment = "begun"
        /\ InTime => /\ wakes = {} /\ Word.held = {}
                     /\ \A t \in Tasks : st[t] = "notified" /\ t \notin dormant => Could(t) /\ MustDefer(t)
        /\ resv' = [resv EXCEPT !.moment = "over"] /\ UNCHANGED <<st, lost, over, list, turn, wakes, dormant>>
(* A holder that leaves, or a waiter that is dropped, wakes others if it sees a flag: what it saw is the word that it wrote. *)
Leave(t, left, wakesOthers(_)) ==
  LET s == [st EXCEPT ![t] = IF left = "none" THEN "gone" ELSE "idle"]  w == WordOf(s, over')  does == w.flags # {} /\ wakesOthers(w)
  IN  /\ lost' = [lost EXCEPT ![t] = 0] /\ over' = over \ {t} /\ dormant' = dormant \ {t}
      /\ list' = LeftBy(t, list) /\ resv' = Forgets(t)
      /\ st' = (IF does THEN [s EXCEPT ![t] = "leaving"] ELSE s) /\ turn' = Kept(turn)
      /\ wakes' = IF does THEN wakes \cup {[by |-> t, left |-> left, held |-> w.held, flags |-> w.flags]} ELSE wakes
Release(t) == st[t] \in {"S", "U", "X"} /\ Leave(t, st[t], LAMBDA w : TRUE)
(* So does a dropped waiter that was notified, or is the last exclusive one. Of shared ones that were notified together, here each may. *)
Drop(t) == /\ Drops /\ Waits(t) /\ t \notin Threads
           /\ Leave(t, "none", LAMBDA w : st[t] = "notified" \/ (Mode[t] = "X" /\ "X" \notin w.flags))
(* An upgrade keeps all others out, and waits for the holders that are there. *)
Upgrade(t) == /\ st[t] = "U" /\ st' = [st EXCEPT ![t] = IF Word.held = {"U"} THEN "X" ELSE "W"] /\ UNCHANGED <<lost, queue, wakes, dormant>>
Finish(t) == /\ st[t] = "W" /\ Word.held = {"W"} /\ st' = [st EXCEPT ![t] = "X"] /\ UNCHANGED <<lost, queue, wakes, dormant>>
(* After an exclusive hold come all shared waiters and the first upgradable one; else one exclusive, overtaken ones first; or the other side. *)
TakeTurns(c) == /\ Has("turns") /\ c.held = {} /\ "X" \in c.flags /\ {"S", "U"} \cap c.flags # {}
                /\ \E t \in Tasks : st[t] \in {"queued", "deferring"}
Turns(c) ==
  LET xWaits == "X" \in c.flags  free == c.held = {}  turnX == IF TakeTurns(c) THEN NextTurn(c.left # "X").x ELSE xWaits /\ c.left # "X"
      s == IF "S" \in c.flags /\ Fits("S", c) THEN {t \in Tasks : Mode[t] = "S" /\ st[t] \in {"queued", "deferring"}} ELSE {}
      u == IF "U" \in c.flags /\ Fits("U", c) THEN First("U") ELSE {}
      x == IF "O" \in c.flags /\ list["O"] # <<>> THEN First("O") ELSE First("X")
      first == IF turnX THEN {} ELSE s \cup u
      madeRoom == c.left # "S" \/ (free /\ c.flags # {"S"}) \/ ("U" \in c.flags /\ Admits("U", c))
  IN  IF ~madeRoom \/ c.held \cap {"W", "X"} # {} THEN {} ELSE IF first # {} \/ ~xWaits \/ ~free THEN first
      ELSE IF x # {} THEN x ELSE s \cup u
(* A waiter is notified: the moment of its reservation begins anew. A thread that cannot be handed the lock stays queued, and reserves it. *)
Wake(c) ==
  LET all == Turns(c)  n == {t \in all : IsHandoff(t) => Fits("X", Word)}
  IN  /\ wakes' = wakes \ {c}
      /\ st' = [t \in Tasks |-> IF t \in n THEN (IF IsHandoff(t) THEN "handed" ELSE "notified")
                                ELSE IF t # c.by THEN st[t] ELSE IF c.left = "none" THEN "gone" ELSE "idle"]
      /\ list' = [l \in DOMAIN list |-> SelectSeq(list[l], LAMBDA t : t \notin n)]
      /\ turn' = Ended(n, IF TakeTurns(c) THEN Kept(NextTurn(c.left # "X")) ELSE turn)
      /\ resv' = IF resv.owner \in n THEN [resv EXCEPT !.binds = TRUE, !.moment = "new"]
                 ELSE IF all # n /\ Has("handoffs") THEN Reserve(CHOOSE t \in all \ n : TRUE, 2, TRUE) ELSE resv
      /\ UNCHANGED <<lost, over, dormant>>
Sleep(t) == /\ Dormancy /\ Waits(t) /\ t \notin Threads /\ dormant' = dormant \cup {t} /\ UNCHANGED <<st, lost, queue, wakes>>
Leaves(t) == Release(t) \/ Finish(t) \/ \E c \in wakes : c.by = t /\ Wake(c)
Next == Tick \/ \E t \in Tasks : Poll(t) \/ Yield(t) \/ Upgrade(t) \/ Leaves(t) \/ Drop(t) \/ Sleep(t)
(* Holders release, a release wakes, time passes, and woken tasks are polled, unless they are dormant. `Often`: all that wait are polled. *)
Spec == Init /\ [][Next]_vars /\ SF_vars(Tick) /\ \A t \in Tasks : WF_vars(Leaves(t)) /\ WF_vars(Woken(t) /\ Poll(t))
SpecOften == Init /\ [][Next]_vars /\ SF_vars(Tick) /\ \A t \in Tasks : WF_vars(Leaves(t)) /\ WF_vars(Waits(t) /\ Poll(t))
Exclusion == \A t, u \in Tasks : t # u /\ st[t] \in {"S", "U", "W", "X"} /\ st[u] \in {"S", "U", "W", "X"} =>
  "X" \notin Word.held /\ "S" \in {st[t], st[u]}
(* If a sleeping waiter could enter, another was woken, or a release is about to wake one. *)
NoLostWakeUp == (\E t \in Tasks : st[t] = "queued" /\ Could(t)) => \E t \in Tasks : st[t] \notin {"idle", "queued", "gone"}
ListsAreExact == \A t \in Tasks : Mode[t] # "S" /\ st[t] \in {"queued", "deferring"} <=> \E l \in DOMAIN list : \E i \in DOMAIN list[l] : list[l][i] = t
(* No starvation, no futurelock: each waiter that is not dormant enters, unless it is dropped. And the same, if there are more releases. *)
Progress == \A t \in Tasks : Waits(t) ~> (~Waits(t) \/ t \in dormant)
ProgressByReleases == []<>(wakes # {}) => Progress
=============================================================================
