//! Capabilities in words, and for programs.

use caps::{NEVER_MS, PublicKey, Rights};

use crate::text::time;

/// Ids of a path, for people and for `--at`.
pub(super) fn path(path: &caps::Path) -> String {
    path.nodes().iter().map(|node| format!("/{node:?}")).collect()
}

/// When it is over.
pub(super) fn expiry(expires_ms: u64) -> String {
    if expires_ms == NEVER_MS {
        return "does not expire".to_owned();
    }
    let until = time::until(expires_ms, time::now_ms());
    format!("until {} ({until})", time::moment(expires_ms))
}

/// The same in JSON: null is never.
pub(super) fn expiry_at_ms(expires_ms: u64) -> Option<u64> {
    (expires_ms != NEVER_MS).then_some(expires_ms)
}

/// Who signed it.
pub(super) fn issuer(issuer: &PublicKey, is_by_root: bool) -> String {
    if is_by_root { "the store's own key".to_owned() } else { format!("{issuer}, which is not the store's own key") }
}

/// `read, append`
pub(super) fn rights(rights: Rights) -> String {
    let words = [(rights.read, "read"), (rights.append, "append"), (rights.write, "write")];
    words.into_iter().filter(|(has, _)| *has).map(|(_, word)| word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use caps::NodeId;

    #[test]
    fn words_for_people() {
        let at = caps::Path::new(&[NodeId([1; 16]), NodeId([2; 16])]).unwrap();
        assert_eq!(path(&at), format!("/{}/{}", "01".repeat(16), "02".repeat(16)));
        assert_eq!(expiry(NEVER_MS), "does not expire");
        assert_eq!(expiry(1), "until 1970-01-01 00:00:00Z (over)");
        assert_eq!((expiry_at_ms(NEVER_MS), expiry_at_ms(3)), (None, Some(3)));
        assert_eq!(rights(Rights::ALL), "read, append, write");
        assert!(issuer(&PublicKey([0; 32]), false).contains("not the store's own key"));
    }
}
