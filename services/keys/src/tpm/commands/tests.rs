//! A TPM that says anything. What a real one does is shown by `tests/tpm.rs`.

use std::collections::VecDeque;

use super::*;

/// Gives these answers in their order, and then none.
struct Says(VecDeque<Vec<u8>>);

impl Carrier for Says {
    fn carry(&mut self, _: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
        self.0.pop_front().map(Zeroizing::new).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

fn answer(code: u32, rest: &[u8]) -> Vec<u8> {
    let tag: u16 = if code == 0 { 0x8002 } else { 0x8001 };
    let length = u32::try_from(10 + rest.len()).unwrap();
    [&tag.to_be_bytes()[..], &length.to_be_bytes(), &code.to_be_bytes(), rest].concat()
}

fn says(answers: &[Vec<u8>]) -> Carried<Says> {
    Carried(Says(answers.iter().cloned().collect()))
}

fn lock() -> TpmLock {
    TpmLock::new(vec![1; 8], vec![2; 8]).unwrap()
}

fn word_of_load(code: u32) -> Word {
    says(&[answer(0, &[0x80, 0, 0, 1]), answer(code, &[]), answer(0, &[])]).open(&lock()).unwrap_err().word()
}

#[test]
fn an_object_of_another_tpm_is_told_from_a_changed_one_and_from_a_fault() {
    assert_eq!(word_of_load(0x1df), Word::ProtectionGone);
    assert_eq!(word_of_load(0x2d5), Word::Damaged);
    assert_eq!(word_of_load(0x101), Word::Io);
}

#[test]
fn an_owner_with_a_password_is_said() {
    for code in [0x9a2, 0x98e, 0x185] {
        assert_eq!(says(&[answer(code, &[])]).open(&lock()).unwrap_err().word(), Word::NotSupported, "{code:#x}");
    }
}

#[test]
fn a_busy_tpm_is_asked_again() {
    let words = [&[0][..], &6u32.to_be_bytes(), &1u32.to_be_bytes(), &MANUFACTURER.to_be_bytes(), b"IBM\0"].concat();
    assert_eq!(says(&[answer(0x922, &[]), answer(0x90a, &[]), answer(0, &words)]).describe(), "TPM 2.0 by IBM");
}

#[test]
fn a_tpm_of_before_and_one_that_is_away_are_not_used() {
    let mut before = answer(0x1e, &[]);
    before[1] = 0xc4;
    before[0] = 0x00;
    assert!(says(&[before]).describe().starts_with("none to use"));
    assert_eq!(says(&[]).seal(&Key::random().unwrap()).unwrap_err().word(), Word::Io);
}

#[test]
fn answers_that_are_cut_off_or_too_long_are_no_answers() {
    let good = [answer(0, &[0x80, 0, 0, 1]), answer(0, &[0, 0, 0, 6, 0, 1, 7, 0, 1, 8]), answer(0, &[])];
    assert_eq!(says(&good).seal(&Key::zeros()).unwrap(), TpmLock::new(vec![8], vec![7]).unwrap());
    for which in 0..2 {
        for length in 0..good[which].len() {
            for honest in [false, true] {
                let mut bad = good.clone();
                bad[which].truncate(length);
                if honest && length >= 10 {
                    bad[which][2..6].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
                }
                assert_eq!(says(&bad).seal(&Key::zeros()).unwrap_err().word(), Word::Io, "{which}, {length}");
            }
        }
    }
    let mut long = good.clone();
    long[1][15] = 0xff;
    assert_eq!(says(&long).seal(&Key::zeros()).unwrap_err().word(), Word::Io);
}
