@0xaf3d43bba912eb03;
# A shell's link to the powerbox: everything a person can see and decide. Data only, like a session: objects and
# streams arrive as links at the shell's door, files and folders go in as resources through it.
#
# Lists are pages of at most 500 rows: pass the cursor that the last page returned, 0 first; cursor 0 returned
# means that no more follows. What fails because of what the person asked is an exception of kind failed whose
# text says what, why and what to do next. Times are milliseconds since 1970-01-01T00:00:00Z; 0: never, or not yet.
#
# A *target* names an object for a person: an offer ("host:/abs/path", with the resource number of the folder that
# the shell opened; "storage:/notes"; "keys:author"), or what an instance holds ("instance:label"), or a grant ("#12").

using Common = import "../common.capnp";
using Session = import "../session.capnp";
using Package = import "../package.capnp";

interface Operator {
  status @0 () -> (status :Status);

  # --- packages ---
  install @1 (token :UInt64, trustAuthor :Bool) -> (package :PackageInfo, replaced :Text);
  # token: a file resource that the shell sent through its door, holding a .latch. The powerbox checks everything before it keeps a byte.
  # trustAuthor: also trust this author from now on, without a name until a person gives one. The component is compiled before this returns.
  packages @2 (cursor :UInt64) -> (rows :List(PackageInfo), cursor :UInt64);
  uninstall @3 (name :Text) -> (grantsEnded :UInt32);
  # Stops its instances, ends and records their grants, removes package and compiled code.
  trust @4 (author :Data, name :Text, remove :Bool) -> ();
  # author: an Ed25519 public key. name: the petname that the person gives.
  authors @5 (cursor :UInt64) -> (rows :List(Author), cursor :UInt64);

  # --- instances ---
  run @6 (app :Text, instance :Text, arguments :List(Text), detached :Bool, grants :List(Preset)) -> (instance :Text, process :UInt64);
  # instance: "" picks app, app#2, … . grants: recorded before the app begins, each in the place of what the instance
  # held under its label; like every grant they stay until they end or are revoked. Foreground: the raw links stdin, stdout and stderr arrive at the shell's
  # door, labelled "<instance>/stdin" and so on, and the app ends with the shell.
  wait @7 (instance :Text, process :UInt64) -> (code :Int32, last :Text);
  # Waits until that run has ended. code: exit code, or minus a signal's number.
  stop @8 (instance :Text, kill :Bool) -> ();
  # Ends its process and forgets that it should run. Its grants stay recorded: the next run has them again.
  instances @9 (cursor :UInt64) -> (rows :List(Instance), cursor :UInt64);
  logs @10 (instance :Text, from :UInt64) -> (output :Data, at :UInt64, end :UInt64);
  # A piece of what a detached run printed and is kept, beginning at byte `from` of all that it printed, 0 first.
  # at: where the piece really begins, later where bytes are gone; end: where the kept output ended just now.

  # --- deciding ---
  offers @11 (cursor :UInt64) -> (rows :List(Offer), cursor :UInt64);
  requests @12 (after :UInt64, instance :Text, wait :Bool, cursor :UInt64) -> (rows :List(Request), version :UInt64, cursor :UInt64);
  # Undecided requests, of one instance or of all (""). wait: returns when version has grown past `after`. A list of
  # several pages is as old as the version that came with its first page.
  approve @13 (request :UInt64, choice :Choice) -> (grant :UInt64);
  deny @14 (request :UInt64, always :Bool) -> ();
  grant @15 (instance :Text, label :Text, choice :Choice) -> (grant :UInt64);
  # Without a request: also puts a revoked label back in force. The app need not have asked, but its manifest must announce the label.
  grants @16 (cursor :UInt64, all :Bool) -> (rows :List(Grant), cursor :UInt64);
  # all: ended ones too.
  revoke @17 (grants :List(UInt64), reason :Text) -> (cut :UInt32, quiet :UInt32, unconfirmed :List(Text), cutAfterUs :UInt64, quietAfterUs :UInt64, grantsEnded :UInt32);
  # With all their descendants. Returns when they are cut, recorded, and quiet or given up on: cut and quiet
  # count links; unconfirmed names the servers that did not confirm within the node's grace time. grantsEnded:
  # descendants included.
  why @18 (target :Text) -> (lines :List(WhyLine));
  # The chain from the object to the holder: who offered, who asked with which words, who decided when, what hangs below.

  # --- record ---
  log @19 (after :UInt64, limit :UInt32, wait :Bool) -> (records :List(Record), last :UInt64);
  verifyLog @20 () -> (result :Verification);

  # --- using an object oneself ---
  open @21 (target :Text, choice :Choice, label :Text) -> (grant :UInt64);
  # A transient child grant for this shell: logged, not kept. Its link arrives at the shell's door under label.
  # target is "" where choice names an offer.

  doctor @22 () -> (findings :List(Finding));
  shutdown @23 () -> ();
  # Stops the node in order. Returns before it is down; the shell sees its door close.
}

struct Choice {
  # What a person picks for a request.
  union {
    folder @0 :UInt64;         # token of a folder resource that this shell sent through its door
    offer @1 :Text;            # the name of an offer in `offers`
    target @2 :Text;           # a child of what is already granted
  }
  rights @3 :Common.Rights;
  expiresAtMs @4 :UInt64;
  calls @5 :Budget;
  bytes @6 :Budget;
  methods @7 :List(Common.Method);
  quota @8 :Budget;            # bytes that may be stored at once; for objects of the store
}

struct Budget { limited @0 :Bool; amount @1 :UInt64; }

struct Preset { label @0 :Text; choice @1 :Choice; }

struct Status {
  startedAtMs @0 :UInt64;
  version @1 :Text;
  processes @2 :List(Process);
  grants @3 :UInt64;           # those of the node's own parts left out
  links @4 :UInt64;
  pending @5 :UInt64;
  logRecords @6 :UInt64;
  state @7 :Text;              # "ready", "recovering", or what is wrong
  warnings @8 :List(Warning);

  struct Warning {
    text @0 :Text;             # for people
    atMs @1 :UInt64;           # when it was noted; 0: it is looked at anew each time
  }

  struct Process {
    name @0 :Text;
    image @1 :Text;
    pid @2 :UInt32;
    uid @3 :UInt32;
    state @4 :Text;            # running, starting, backing off
    restarts @5 :UInt32;
    links @6 :UInt32;
    residentBytes @7 :UInt64;
    cpuUs @8 :UInt64;
    confinement @9 :List(Text);
    missing @10 :List(Text);
    lastExit @11 :Text;
  }
}

struct Finding { ok @0 :Bool; subject @1 :Text; text @2 :Text; remedy @3 :Text; }

struct PackageInfo { manifest @0 :Package.Manifest; digest @1 :Data; trusted @2 :Bool; installedAtMs @3 :UInt64; authorPetname @4 :Text; bytes @5 :UInt64; }

struct Author { key @0 :Data; name @1 :Text; trustedAtMs @2 :UInt64; packages @3 :List(Text); }

struct Instance {
  name @0 :Text;
  app @1 :Text;
  version @2 :Text;
  process @3 :UInt64;          # 0: not running
  pid @4 :UInt32;
  detached @5 :Bool;
  state @6 :Text;              # running, starting, stopped, exited N
  startedAtMs @7 :UInt64;
  grants @8 :UInt32;
  pending @9 :UInt32;
  cpuUs @10 :UInt64;
  residentBytes @11 :UInt64;
  last @12 :Text;              # how it last ended
  wanted @13 :Bool;            # detached, and should run: it does, or is started again, or the node gave it up
}

struct Offer {
  name @0 :Text;               # as it is written in a grant: "host:/home/ada/docs"
  provider @1 :Text;           # "folder (this host)": the system's words
  interface @2 :UInt64;
  interfaceName @3 :Text;
  rights @4 :Common.Rights;
  grants @5 :UInt32;           # that offer it
  resolver @6 :Bool;           # takes a string: "host:PATH"
}

struct Request {
  id @0 :UInt64;
  instance @1 :Text;
  label @2 :Text;
  query @3 :Session.Query;
  interfaceName @4 :Text;
  rights @5 :Common.Rights;
  reason @6 :Text;             # the app's words, already escaped
  providers @7 :List(Text);    # offers that match, and resolvers such as "host:PATH"
  askedAtMs @8 :UInt64;
  coalesced @9 :UInt32;        # how often it asked again
}

struct Grant {
  id @0 :UInt64;
  parent @1 :UInt64;           # 0: none
  holder @2 :Text;             # "search", "shell (uid 1000)"
  label @3 :Text;
  offer @4 :Text;
  provider @5 :Text;
  interfaceName @6 :Text;
  rights @7 :Common.Rights;
  expiresAtMs @8 :UInt64;
  calls @9 :Budget;
  bytes @10 :Budget;
  callsLeft @11 :UInt64;
  bytesLeft @12 :UInt64;
  methods @13 :List(Common.Method);
  open @14 :Bool;
  grantedAtMs @15 :UInt64;
  grantedBy @16 :Text;         # "uid 1000 at a prompt"
  endedAtMs @17 :UInt64;
  endReason @18 :Common.EndReason;
  usedCalls @19 :UInt64;
  usedBytes @20 :UInt64;
  errors @21 :UInt64;
  refused @22 :UInt64;         # calls that a caveat forbade: none of those that were used
  selfReported @23 :Bool;
  depth @24 :UInt16;
  quota @25 :Budget;
  own @26 :Bool;               # a part of the node holds it, of another part
}

struct WhyLine { depth @0 :UInt16; text @1 :Text; atMs @2 :UInt64; grant @3 :UInt64; appWords @4 :Bool; }

struct Record {
  position @0 :UInt64;
  atMs @1 :UInt64;
  kind @2 :Text;
  text @3 :Text;               # for people
  hash @4 :Data;               # of this record, which binds all before it
  fields @5 :List(Field);
  struct Field { name @0 :Text; value @1 :Text; }
}

struct Verification {
  ok @0 :Bool;
  records @1 :UInt64;
  checkpoints @2 :UInt64;
  head @3 :Data;
  logKey @4 :Data;
  problem @5 :Text;            # what is wrong and at which position
  tailUnsigned @6 :UInt64;     # records after the last checkpoint
  unknownKey @7 :Bool;         # a checkpoint is signed with a key that the node's keys do not have
}
