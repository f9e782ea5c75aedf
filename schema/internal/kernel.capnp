@0xafaf840dc2cd9707;
# Between powerbox and kernel: single messages over a SEQPACKET pair, at most 64 KiB, one segment.
#
# The powerbox chooses every id; none is used twice in a node's life. Commands that make or end something
# may be sent again: what is so already stays so. A notice that is sent again is delivered again; inventory and usage answer anew. Commands are carried out in order, and each is answered by one
# `done` with its sequence number. A powerbox that is started sends `inventory` first.

using Common = import "../common.capnp";
using Door = import "door.capnp";

enum Image { powerbox @0; folder @1; sandbox @2; compile @3; keys @4; storage @5; }

struct Command {
  sequence @0 :UInt64;
  union {
    start @1 :Start;
    stop @2 :Stop;
    link @3 :Link;
    cut @4 :Cut;
    forget @5 :Forget;
    notice @6 :Notice;
    inventory @7 :Inventory;
    dropResource @8 :UInt64;   # a shell's resource that is not wanted
    shutdown @9 :Void;         # stop every process, then the kernel
    usage @10 :UInt64;         # of that process; 0: of the node
  }
}

struct Start {
  # Descriptors on the packet are resources, in order, before those named in claims. The images keys and storage are given
  # their own folder of the state beside them, as the resource "state", and always have the same user.
  process @0 :UInt64;
  image @1 :Image;
  name @2 :Text;               # for people
  setup @3 :Data;
  resources @4 :List(Door.Resource);   # one for each descriptor on the packet
  claims @5 :List(UInt64);     # resources that shells brought, by the kernel's number; they go on as resources
  folder @6 :Door.Resource;    # image folder without a resource: the process itself opens the path, with the rights of
                               # runAs, before it becomes its image, and compares; at each start
  restart @7 :Bool;            # start again, with back-off, when it dies (the kernel keeps the resources), unless it
                               # could not even begin
  limits @8 :Limits;
  runAs @9 :UInt32;            # image folder: uid of the person who offered it; 0: it runs as the folder's owner
}

struct Limits {
  memoryBytes @0 :UInt64;      # memory that it can write to, and with a cgroup what it fills besides; 0: no limit
  cpuSeconds @1 :UInt64;       # 0: no limit
  fileBytes @2 :UInt64;        # images sandbox and compile: how large it may make a file, memory files included; 0: it writes none
}

struct Stop { process @0 :UInt64; kill @1 :Bool; }

struct Link {
  link @0 :UInt64;
  grant @1 :UInt64;            # 0: session or pair-bound
  carries @2 :Door.Carries;
  server @3 :UInt64;           # process ids; 0: the powerbox
  client @4 :UInt64;
  label @5 :Text;
  serverBadge @6 :Data;
  clientBadge @7 :Data;
}

struct Cut {
  # Shuts the links of these grants and leaves a tombstone for each grant; or of single links, without.
  grants @0 :List(UInt64);     # at most 4,000 a message
  links @1 :List(UInt64);
  reason @2 :Common.EndReason;
  detail @3 :Text;
}

struct Forget { grants @0 :List(UInt64); }   # their record is durable: drop the tombstones

struct Notice { process @0 :UInt64; notice @1 :Door.Notice; }

struct Inventory { cursor @0 :UInt64; }

enum Outcome {
  ok @0;
  unknown @1;        # no such process, link or resource
  tombstone @2;      # the grant was cut
  busy @3;           # a door is full or a limit is reached: again later
  refused @4;        # detail says why
}

struct Event {
  union {
    done @0 :Done;
    confined @1 :Confined;
    exited @2 :Exited;
    linkEnded @3 :LinkEnded;
    quiet @4 :Quiet;
    shell @5 :Shell;
    resource @6 :ShellResource;
    inventory @7 :Page;
    usage @8 :Usage;
    stopping @9 :Void;         # the kernel was told to stop: record what must be, then exit
  }
}

struct Done { sequence @0 :UInt64; outcome @1 :Outcome; detail @2 :Text; }

struct Confined { process @0 :UInt64; confinement @1 :Door.Confinement; pid @2 :UInt32; uid @3 :UInt32; }

struct Exited {
  process @0 :UInt64;
  code @1 :Int32;              # exit code, or minus the signal's number; 126: it could not become its image, see last
  last @2 :Text;               # the process's own last word
  willRestart @3 :Bool;
  restarts @4 :UInt32;         # so far
}

struct LinkEnded { link @0 :UInt64; reason @1 :Common.EndReason; }
# A link ended that the powerbox did not cut: an end closed it, or a process died.

struct Quiet { link @0 :UInt64; }
# The server end of a cut link has confirmed, or is dead.

struct Shell { process @0 :UInt64; pid @1 :UInt32; uid @2 :UInt32; gone @3 :Bool; }
# A shell came to the operator door (its number has the top bit set), or went.

struct ShellResource {
  # A folder stays with the kernel until it is claimed or dropped. The descriptor of a file (a package to install)
  # rides on this packet and is the powerbox's from then on: the kernel keeps nothing of it.
  resource @0 :UInt64;         # the kernel's number
  shell @1 :UInt64;
  uid @2 :UInt32;
  what @3 :Door.Resource;      # as the shell said it
}

struct Page {
  # The whole inventory, in pages; the last has end set. After it comes `confined` for each process that is, shells and
  # the powerbox apart: also for one whose `confined` came before its page.
  processes @0 :List(Process);
  links @1 :List(LiveLink);
  tombstones @2 :List(UInt64);
  cursor @3 :UInt64;
  end @4 :Bool;

  struct Process { process @0 :UInt64; image @1 :Image; pid @2 :UInt32; uid @3 :UInt32; confined @4 :Bool; shell @5 :Bool; restarts @6 :UInt32; name @7 :Text; }
  struct LiveLink { link @0 :UInt64; grant @1 :UInt64; carries @2 :Door.Carries; server @3 :UInt64; client @4 :UInt64; }
}

struct Usage {
  process @0 :UInt64;
  cpuUs @1 :UInt64;
  residentBytes @2 :UInt64;
}
