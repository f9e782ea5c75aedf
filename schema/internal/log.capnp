@0x9d1fb6a5c2f0e4b3;
# What the powerbox writes down: the records of its log, which are the truth, the rows of its index, which can be
# rebuilt from them, and the records of the usage log. Only the powerbox reads and writes these.

using Common = import "../common.capnp";
using Package = import "../package.capnp";
using Session = import "../session.capnp";

struct Entry {
  # One record. How records are framed and chained is described in the powerbox's module `log`.
  position @0 :UInt64;         # 1, 2, 3, …
  atMs @1 :UInt64;             # never less than in the record before
  by @2 :Text;                 # who: "uid 1000", "the node", "app search"
  union {
    opened @3 :Opened;         # the powerbox was started
    trusted @4 :Author;
    distrusted @5 :Data;       # the author's key
    installed @6 :Installed;
    uninstalled @7 :Text;      # the package's name
    ran @8 :Ran;
    exited @9 :Exited;
    stopped @10 :Text;         # this instance is not to run any more
    asked @11 :Asked;
    denied @12 :Denied;
    granted @13 :Granted;
    ended @14 :Ended;
    leased @15 :Leased;
    returned @16 :Leased;      # what of that lease was not used
    reserved @17 :UInt64;      # ids up to this one may have been used
    checkpoint @18 :Checkpoint;
    note @19 :Text;            # what a person should know: a rebuilt index, a torn tail
    lost @20 :Leased;          # the server of this link ended without a word: its lease counts as used
  }
}

struct Opened {
  version @0 :Text;
  nodeStart @1 :Bool;          # with the node; otherwise the powerbox alone was started again
}

struct Author { key @0 :Data; name @1 :Text; atMs @2 :UInt64; }

struct Installed {
  manifest @0 :Package.Manifest;
  digest @1 :Data;
  bytes @2 :UInt64;            # of the package file
  atMs @3 :UInt64;
}

struct Ran {
  instance @0 :Text;
  app @1 :Text;
  version @2 :Text;
  digest @3 :Data;             # of the package that runs
  process @4 :UInt64;
  detached @5 :Bool;
  arguments @6 :List(Text);
  shell @7 :UInt64;            # the shell that it ends with; 0: none
  uid @8 :UInt32;              # of the person
}

struct Exited { instance @0 :Text; process @1 :UInt64; code @2 :Int32; last @3 :Text; }

struct Asked {
  request @0 :UInt64;
  instance @1 :Text;
  label @2 :Text;
  interface @3 :UInt64;
  hint @4 :Text;
  rights @5 :Common.Rights;
  reason @6 :Text;
  atMs @7 :UInt64;
}

struct Denied {
  instance @0 :Text;
  label @1 :Text;
  how @2 :How;
  enum How { once @0; always @1; timedOut @2; }
}

struct Granted {
  grant @0 :UInt64;
  parent @1 :UInt64;
  holder @2 :Holder;
  label @3 :Text;
  offer @4 :Text;              # "host:/home/ada/docs"
  source @5 :Source;
  interface @6 :UInt64;
  rights @7 :Common.Rights;
  expiresAtMs @8 :UInt64;
  calls @9 :Limit;
  bytes @10 :Limit;
  methods @11 :List(Common.Method);
  transient @12 :Bool;         # a shell's own use: ends with the shell
  quota @13 :Limit;            # what may be stored at once, where that can be limited
}

struct Holder {
  union {
    instance @0 :Text;
    shell @1 :UInt64;          # its process number
    service @3 :Text;          # a part of the node: "storage", "powerbox"
  }
  uid @2 :UInt32;              # of a shell
}

struct Source {
  union {
    folder @0 :Folder;
    object @1 :Object;
  }
}

struct Object {
  # What a service of the node serves.
  service @0 :Text;            # "keys", "storage"
  name @1 :Text;               # in its own words: "log", "/notes"
}

struct FolderIdentity {
  # See Resource in door.capnp.
  path @0 :Text;
  fileSystem @1 :UInt64;
  handle @2 :Data;
  inode @3 :UInt64;
}

struct Folder {
  identity @0 :FolderIdentity;
  runAs @1 :UInt32;            # uid of the person who offered it
}

struct Limit { limited @0 :Bool; amount @1 :UInt64; }

struct Ended {
  grants @0 :List(UInt64);     # with all their descendants
  reason @1 :Common.EndReason;
  detail @2 :Text;
}

struct Leased { grant @0 :UInt64; link @1 :UInt64; calls @2 :UInt64; bytes @3 :UInt64; }

struct Checkpoint {
  position @0 :UInt64;         # of the record that it is of, at most 4,096 before this one
  head @1 :Data;               # that record's hash, which binds all before it
  signature @2 :Data;          # Ed25519, by the node's keys, of position (8 bytes, little endian) and head
  key @3 :Data;                # the public half of the key that signed
}

# --- the index ---

struct Row {
  union {
    author @0 :Author;
    package @1 :Installed;
    instance @2 :InstanceRow;
    grant @3 :GrantRow;
    request @4 :Asked;
    settled @5 :Denied;
    counters @6 :Counters;
  }
}

struct InstanceRow {
  run @0 :Ran;                 # the latest
  startedAtMs @1 :UInt64;
  running @2 :Bool;
  wanted @3 :Bool;             # detached, and to be started again with the node
  code @4 :Int32;
  last @5 :Text;
  exitedAtMs @6 :UInt64;
}

struct GrantRow {
  granted @0 :Granted;
  atMs @1 :UInt64;
  by @2 :Text;
  callsLeft @3 :UInt64;
  bytesLeft @4 :UInt64;
  lease @5 :Leased;            # link 0: none
  endedAtMs @6 :UInt64;
  endReason @7 :Common.EndReason;
  endDetail @8 :Text;
  endedBy @9 :Text;
  position @10 :UInt64;        # of the record that granted it
  reason @11 :Text;            # the asker's words at that time
  ended @12 :Bool;
}

struct Counters {
  nextGrant @0 :UInt64;
  nextRequest @1 :UInt64;
  reserved @2 :UInt64;
  endedGrants @3 :List(UInt64);      # those that are still kept, oldest first
  lastAtMs @4 :UInt64;
  startedAtMs @5 :UInt64;
  signed @6 :UInt64;           # the last record that a checkpoint signed
}

struct Metadata {
  # What the index says of itself.
  position @0 :UInt64;         # of the last record that it holds
  head @1 :Data;
  digest @2 :Data;             # over all rows
}

# --- the usage log ---

struct Used {
  # Totals of one grant since it was granted.
  atMs @0 :UInt64;
  grant @1 :UInt64;
  calls @2 :UInt64;
  bytesIn @3 :UInt64;
  bytesOut @4 :UInt64;
  errors @5 :UInt64;
  selfReported @6 :Bool;
  refused @7 :UInt64;          # calls that a caveat forbade, which are none of the calls above
  methods @8 :List(Session.MethodUsage);   # latencies: of the slowest report
}
