@0x874b53be75cae47b;
# What goes through a door: the SEQPACKET socket (descriptor 3) that a process is born with. One message a
# packet, one segment, at most 64 KiB. Descriptors ride on the packet that names them.

using Common = import "../common.capnp";

enum Role { client @0; server @1; }

enum Carries {
  session @0;     # Cap'n Proto RPC, the powerbox's Session (or its operator interface for a shell)
  grant @1;       # Cap'n Proto RPC, a granted object
  raw @2;         # plain bytes: an app's standard input, output or error
}

struct ToVat {
  # kernel -> process
  union {
    begin @0 :Begin;         # always first
    link @1 :Link;           # one descriptor: this end of the link
    resource @2 :Resource;   # one descriptor
    notice @3 :Notice;
    stop @4 :Void;           # finish what runs and exit; killed after a grace time
  }
}

struct Begin {
  process @0 :UInt64;
  setup @1 :Data;            # for the image: see setup.capnp. Opaque to the kernel
  resources @2 :UInt16;      # how many resources follow at once, before the process confines itself
  reduced @3 :Bool;          # start although this machine lacks a part of the confinement (an operator allowed it)
}

struct Link {
  id @0 :UInt64;             # node-wide; the powerbox chose it
  role @1 :Role;
  carries @2 :Carries;
  label @3 :Text;            # for the client: what it asked under. Raw links: stdin, stdout, stderr
  badge @4 :Data;            # an encoded Badge. Opaque to the kernel
}

struct Badge {
  # What an end is told about a link. It is the powerbox's word, and the only thing a service goes by.
  grant @0 :UInt64;          # 0 for session and raw links
  interface @1 :UInt64;
  rights @2 :Common.Rights;
  expiresAtMs @3 :UInt64;    # 0: never
  calls @4 :Common.Lease;
  bytes @5 :Common.Lease;
  methods @6 :List(Common.Method);   # empty: all
  peer @7 :Peer;
  holder @8 :Text;           # for people: "search#1", "shell"
  object @9 :Text;           # which of its objects a service that has several is to serve, in its own words: "/notes",
                             # "store". Empty where it has one
  accounts @10 :List(Account);   # whose room what is stored over this link takes, from the grant outwards; empty: no quota
}

struct Account {
  # A grant with a quota: what is stored on it, or on grants below it, is counted against it.
  grant @0 :UInt64;
  quotaBytes @1 :UInt64;
}

enum Peer { app @0; service @1; shell @2; powerbox @3; }

struct Resource {
  kind @0 :Kind;
  name @1 :Text;             # for the receiver, such as "component", "stdout.0", "state"
  token @2 :UInt64;          # a shell's own number for it
  path @3 :Text;             # where the shell found it, absolute
  # What a folder is known by after a restart. Who brings it says it; the kernel passes it on and asks no file system.
  fileSystem @4 :UInt64;     # f_fsid of statvfs
  handle @5 :Data;           # of name_to_handle_at: type (4 bytes, little endian), then the handle; at most 132 bytes
  inode @6 :UInt64;          # decides where the file system has no handles
  enum Kind { file @0; folder @1; memory @2; }
}

struct Notice {
  link @0 :UInt64;
  label @1 :Text;
  reason @2 :Common.EndReason;
  detail @3 :Text;           # for people; at most 300 bytes
}

struct FromVat {
  # process -> kernel
  union {
    confined @0 :Confinement;  # before the first link
    ended @1 :Ended;           # server end of a cut link: no call starts any more. Once for each link
    resource @2 :Resource;     # one descriptor; from shells only
    last @3 :Text;             # why this process is about to exit; at most 1,000 bytes. Who says much more than it
                               # has reason to, of this and of ended, is killed
  }
}

struct Ended {
  link @0 :UInt64;
}

struct Confinement {
  profile @0 :Text;
  applied @1 :List(Text);    # such as "seccomp", "landlock 7", "empty root"
  missing @2 :List(Text);    # what this machine could not do
}
