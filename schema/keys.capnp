@0xf7056836cef7e71f;
# The keys of a node, to be used and never seen. Each object is for one key and one purpose, which is bound into
# everything that it does: what was signed or sealed for one purpose means nothing for another.
#
# Calls fail with an exception of kind failed whose text begins with one of these words and a colon: locked (unlock the
# keys first), none (this node has no keys yet), exists, wrongPassphrase, protectionGone (what protects the keys, such as a TPM, is another one or was
# cleared), damaged, badInput, notSupported, io.

interface Signer {
  # Signs with one Ed25519 key (RFC 8032). What is signed is not the message alone:
  #   BLAKE3 in the mode derive_key with the context "latchkey 2026 signature: " followed by the purpose, over the message
  # (32 bytes), where the purpose is one of Purpose's names. So a signature for one purpose is none for another, even
  # should two purposes have one key.

  publicKey @0 () -> (key :Data, generation :UInt32);
  # 32 bytes. generation: 1 for the first key, and 1 more after each rotation.

  sign @1 (message :Data) -> (signature :Data);
  # 64 bytes. The message has at most 64 KiB.

  history @2 () -> (keys :List(Data));
  # Every public key that this purpose has had, the latest last: what was signed before a rotation is checked by these.
  # Answered while the keys are locked, too.
}

interface Unsealer {
  # Seals secrets for one purpose, and opens them again.

  seal @0 (secret :Data, context :Data) -> (sealed :Data);
  # secret: at most 4 KiB. context: at most 1 KiB, needed again to open, and bound in; it is not part of the result.

  unseal @1 (sealed :Data, context :Data) -> (secret :Data, current :Bool);
  # Fails with damaged where the bytes, the context or the key is another. current: it was sealed by the key that `seal`
  # uses now. Seal it anew where not, keep that, and unseal that once: only who has come back with something that the present
  # key sealed lets the next rotation forget the key before.
}

enum Purpose {
  # The keys of a node. The first four sign; `store` seals.
  device @0;       # who this node is to other nodes
  log @1;          # checkpoints of the node's log
  author @2;       # packages that are built here
  commits @3;      # what the store has written; the principal that its capabilities begin with
  store @4;        # the root key of the store
}

enum Protection {
  none @0;         # there are no keys
  passphrase @1;   # a key derived from a passphrase (Argon2id)
  tpm @2;          # a key that this machine's TPM 2.0 alone opens
}

struct Status {
  protection @0 :Protection;
  unlocked @1 :Bool;
  trouble @2 :Text;            # why the keys cannot be used, if so: what, why, what to do
  keys @3 :List(Key);          # the public halves are known while it is locked, too
  tpm @4 :Text;                # what of a TPM there is: its maker's words, or why there is none to use
}

struct Key {
  purpose @0 :Purpose;
  public @1 :Data;             # 32 bytes; empty for what does not sign
  generation @2 :UInt32;       # 1, 2, …
  madeAtMs @3 :UInt64;
}

interface Keyring {
  # All keys of a node, for its operators: anybody else's calls fail with badInput.

  status @0 () -> (status :Status);

  create @1 (protection :Protection, passphrase :Data) -> ();
  # Makes every key. A passphrase has 1 to 1,024 bytes; with a TPM it must be empty. Fails with exists where there are keys.

  unlock @2 (passphrase :Data) -> ();
  # Does nothing where it is unlocked already, after looking whether the passphrase is right. Keys in a TPM need none and
  # are unlocked by themselves at each start. Fails with locked where `lock` was called after this and before it was done.

  lock @3 () -> ();
  # Forgets everything secret until it is unlocked again. Signers and unsealers fail with locked meanwhile. It waits for
  # no other call: what changes the keys at that moment is done, and they stay locked.

  protect @4 (protection :Protection, passphrase :Data) -> ();
  # Protects the same keys in another way from now on: another passphrase, or a TPM. Needs to be unlocked.

  rotate @5 (purpose :Purpose) -> (key :Key);
  # Makes a new key in the place of the old one, at most 999 times. Of `store` the one before is kept to open what it sealed; and
  # a second rotation, which would forget that one, fails with badInput until something that the present key sealed was unsealed
  # since the service started.

  backup @6 (passphrase :Data) -> (backup :Data);
  # All keys, sealed under a passphrase of its own, whatever protects them here.

  restore @7 (backup :Data, backupPassphrase :Data, protection :Protection, passphrase :Data) -> ();
  # Takes the keys of a backup. Fails with exists where this node has keys; but where those cannot be used for good (damaged,
  # protectionGone), they are put aside, as a file beside the new one. The passphrases are as for `backup` and `create`.

  history @8 (purpose :Purpose) -> (keys :List(Key));
  # Every key that the purpose has had, the latest last.
}
