@0xbe9d43b7cf655355;
# A vat's link to the powerbox. Data only: no method takes or returns a capability, and a capability descriptor
# in any message of this link cuts it. The objects themselves arrive as links at the door, by label.

using Common = import "common.capnp";

struct Query {
  # What is asked for.

  interface @0 :UInt64;
  # Schema id of the interface that the object must serve, such as Directory's.

  hint @1 :Text;
  # What the asker has in mind, such as "the folder to search in": shown as its own words, at most 200 bytes.
}

enum Decision {
  pending @0;
  granted @1;      # the link with this label is at the door, or on its way
  denied @2;
  unannounced @3;  # the package's manifest does not announce such a request
  timedOut @4;     # nobody decided within the time that the node allows
  revoked @5;      # it was granted and taken away; the same label stays so until a person grants anew
  expired @6;      # likewise: its time is over
  exhausted @7;    # likewise: a budget of it is used up
}

struct Held {
  label @0 :Text;
  interface @1 :UInt64;
  rights @2 :Common.Rights;
  expiresAtMs @3 :UInt64;    # milliseconds since 1970; 0: never
  decision @4 :Decision;
  open @5 :Bool;             # has a link now
}

interface Session {
  # It is read at a rate far above what asking for everything that a package announces takes. What comes faster waits
  # unread, and nothing is lost.

  request @0 (query :Query, rights :Common.Rights, reason :Text, label :Text) -> (decision :Decision);
  # Asks for an object under a label of the caller's choosing (1 to 64 bytes of [a-z0-9._-]). Idempotent: the same
  # label again returns the state of the first request and changes nothing. reason is shown to the person as the
  # caller's words (at most 300 bytes; control characters are shown escaped). Returns at once. At most 32
  # undecided requests a session; more fail with kind overloaded.

  decision @1 (label :Text) -> (decision :Decision);
  # Waits until the request is decided. An unknown label is an error.

  list @2 () -> (held :List(Held));
  # What this session holds and has asked for.

  release @3 (label :Text) -> ();
  # Gives a grant back: it is ended and recorded. Unknown labels are an error; twice is not.

  report @4 (usage :List(Usage)) -> ();
  # From services and apps that serve: what went over their links, at most 100 in one report. Recorded as self-reported where
  # it comes from an app. Only what is said of links that the caller serves, or served until lately, is taken.

  renew @5 (link :UInt64, grant :UInt64, calls :Common.Lease, bytes :Common.Lease) -> (calls :Common.Lease, bytes :Common.Lease);
  # From whoever serves the link: more of its grant's budgets. In what is asked, limited says that more of this one is
  # wanted, and amount what the link has been given so far. Returns what it has been given now, which is on disk as spent
  # by then. Idempotent by amount: whoever lost an answer asks again and gets the same. An answer without more that gives
  # nothing new means that the budget is used up. Fails where the link is not known, or nothing can be recorded now: ask
  # again while the link is open.

  trouble @6 (text :Text) -> ();
  # From a service: what people should know and act on, such as that a read failed, where, and what to do. Recorded and
  # shown in `status`; at most 300 bytes. The same words again within a minute are dropped.
}

struct Usage {
  link @0 :UInt64;
  grant @1 :UInt64;
  calls @2 :UInt64;            # that started and ended, since the last report of this link
  refused @3 :UInt64;          # calls that a caveat forbade: they did not start and cost nothing
  bytesIn @4 :UInt64;
  bytesOut @5 :UInt64;
  errors @6 :UInt64;           # calls that started and failed
  methods @7 :List(MethodUsage);
  last @8 :Bool;               # the link ended: what is left of its lease follows, and no report will
  unusedCalls @9 :UInt64;      # of the lease, to be given back
  unusedBytes @10 :UInt64;
  endReason @11 :Common.EndReason;   # where last
  endDetail @12 :Text;               # where last: the server's words on a bound that was passed
}

struct MethodUsage {
  method @0 :Common.Method;
  calls @1 :UInt64;
  errors @2 :UInt64;
  latencyP50Ns @3 :UInt64;
  latencyP99Ns @4 :UInt64;
}
