@0xb147694c385e3f30;
# Bytes in order, from a writer to a reader, with flow control.

interface ByteStream {
  # Takes the bytes of one stream. Who holds it writes; who serves it reads.
  # Dropping it before `end` means that the rest was lost: the receiver must treat what came as truncated
  # and say so to whoever waits for the result.

  write @0 (bytes :Data) -> stream;
  # The next bytes, at most 1 MiB (more: an exception of kind failed, and the stream is broken).
  # Calls are taken in order. After an error every later call, and `end`, reports that error.

  end @1 () -> (total :UInt64);
  # No more follows. Returns how many bytes were taken, once all of them are where they belong.
  # A second call returns the same; a `write` after it fails.
}
