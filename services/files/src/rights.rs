//! What a reference may do. Every reference carries the rights it was made with, and every derived one at most those:
//! that is how read-only and append-only hold for all that is below a directory.

use vat::words::Rights;

use crate::problem::{Problem, Word};

/// What a call does, as far as rights are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// See: list, stat, read.
    Read,
    /// Add what was not there.
    Append,
    /// Change what is there.
    Write,
}

/// Refuses an act that the rights do not cover, and says what they do cover.
pub fn need(held: Rights, act: Act) -> Result<(), Problem> {
    let held = held.complete();
    let allowed = match act {
        Act::Read => held.read,
        Act::Append => held.append,
        Act::Write => held.write,
    };
    if allowed { Ok(()) } else { Err(refusal(held, act)) }
}

/// What a derived reference gets: what is asked for and held. Asking for nothing, or for nothing that is held, is
/// refused: such a reference could do nothing, and the asker should know why.
pub fn narrow(held: Rights, asked: Rights) -> Result<Rights, Problem> {
    let granted = held.intersect(asked);
    if granted != Rights::NONE {
        return Ok(granted);
    }
    let asked = asked.complete();
    Err(match asked {
        Rights { read: true, .. } => refusal(held, Act::Read),
        Rights { write: true, .. } => refusal(held, Act::Write),
        Rights { append: true, .. } => refusal(held, Act::Append),
        _ => Problem::new(Word::NotPermitted, "no rights were asked for: ask for read, append or write"),
    })
}

fn refusal(held: Rights, act: Act) -> Problem {
    let word = match (act, held.append, held.read) {
        (Act::Write, true, _) => Word::AppendOnly,
        (Act::Write | Act::Append, false, true) => Word::ReadOnly,
        _ => Word::NotPermitted,
    };
    let verb = match act {
        Act::Read => "read",
        Act::Append => "append",
        Act::Write => "write",
    };
    Problem::new(word, format!("this needs {verb}, and the reference has {held}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPEND: Rights = Rights { read: false, append: true, write: false };
    const READ_APPEND: Rights = Rights { read: true, append: true, write: false };
    const WRITE: Rights = Rights { read: false, append: false, write: true };

    #[test]
    fn each_act_needs_its_right() {
        let cases = [
            (Rights::READ, Act::Read, None),
            (Rights::READ, Act::Append, Some(Word::ReadOnly)),
            (Rights::READ, Act::Write, Some(Word::ReadOnly)),
            (APPEND, Act::Read, Some(Word::NotPermitted)),
            (APPEND, Act::Append, None),
            (APPEND, Act::Write, Some(Word::AppendOnly)),
            (READ_APPEND, Act::Write, Some(Word::AppendOnly)),
            (WRITE, Act::Append, None),
            (WRITE, Act::Write, None),
            (WRITE, Act::Read, Some(Word::NotPermitted)),
            (Rights::NONE, Act::Write, Some(Word::NotPermitted)),
        ];
        for (held, act, word) in cases {
            assert_eq!(need(held, act).err().map(|problem| problem.word()), word, "{held} {act:?}");
        }
    }

    #[test]
    fn narrowing_gives_what_is_asked_and_held() {
        assert_eq!(narrow(Rights::ALL, Rights::READ), Ok(Rights::READ));
        assert_eq!(narrow(Rights::READ, Rights::ALL), Ok(Rights::READ));
        assert_eq!(narrow(READ_APPEND, WRITE), Ok(APPEND));
    }

    #[test]
    fn narrowing_to_nothing_is_refused_with_its_reason() {
        let cases = [
            (Rights::READ, WRITE, Word::ReadOnly),
            (Rights::READ, APPEND, Word::ReadOnly),
            (APPEND, Rights::READ, Word::NotPermitted),
            (Rights::ALL, Rights::NONE, Word::NotPermitted),
        ];
        for (held, asked, word) in cases {
            assert_eq!(narrow(held, asked).expect_err("nothing is left").word(), word, "{held} asked {asked}");
        }
    }
}
