//! Latchkey's own words for what a schema holds as a number: rights, reasons, keys.

use vat::Rights;

/// `read-only`, `append-only`, `read-write`, `nothing`; unusual sets are spelled out.
pub(crate) fn rights(rights: Rights) -> &'static str {
    match (rights.read, rights.append, rights.write) {
        (true, false, false) => "read-only",
        (true, true, false) => "read, append",
        (true, _, true) => "read-write",
        (false, true, false) => "append-only",
        (false, _, true) => "write-only",
        (false, false, false) => "nothing",
    }
}

/// The rights that are given, and why they are less than the person wrote, where they are.
pub(crate) fn share(given: Rights, written: Option<Rights>, asked: Rights) -> String {
    let more = written.filter(|written| !written.is_subset_of(given));
    let why = match more {
        None => "",
        Some(more) if more.is_subset_of(asked) => ": there is no more of it to give",
        Some(_) => ": it asks for no more",
    };
    format!("{}{why}", rights(given))
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that hexadecimal digits stand for.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// `1 grant`, `2 grants`
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_less_than_they_wrote_is_told_why() {
        let append = Rights { read: true, append: true, write: false };
        assert_eq!(share(Rights::READ, None, Rights::READ), "read-only");
        assert_eq!(share(Rights::READ, Some(Rights::READ), Rights::ALL), "read-only");
        assert_eq!(share(Rights::READ, Some(Rights::ALL), Rights::READ), "read-only: it asks for no more");
        assert_eq!(share(Rights::READ, Some(append), Rights::ALL), "read-only: there is no more of it to give");
    }

    #[test]
    fn hexadecimal_there_and_back() {
        assert_eq!(from_hex(&hex(&[0, 0xab, 255])), Some(vec![0, 0xab, 255]));
        assert_eq!(from_hex("abc"), None);
        assert_eq!(from_hex("zz"), None);
        assert_eq!(from_hex("é"), None);
    }
}
