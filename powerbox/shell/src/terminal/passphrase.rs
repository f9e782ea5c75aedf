//! Passphrases: from a file that the person named, else typed on the terminal without being shown.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use super::tty::Tty;
use crate::failure::{Doing as _, Failure, Outcome};
use crate::output;
use crate::secret_file::need_private;
use crate::text::words;

/// The longest passphrase that keys take, see `keys.capnp`.
const PASSPHRASE_LIMIT_BYTES: usize = 1_024;

/// What a passphrase should have at least: four or five words, or letters by chance of which nobody tries all.
const GOOD_PASSPHRASE_CHARS: usize = 16;

/// A passphrase. It is overwritten when it is no longer needed.
pub(crate) type Passphrase = Zeroizing<Vec<u8>>;

const CHOOSE: &str = "choose a passphrase: whoever has the state's files may try as often as they like";

/// Reads the passphrase that opens something: of the file's first line, else asked for.
pub(crate) async fn known(file: Option<&Path>, cue: &str, option: &str) -> Outcome<Passphrase> {
    match file {
        Some(file) => read(file),
        None => ask(&terminal(option)?, &format!("{cue}: ")).await,
    }
}

/// Reads a passphrase that is new: one that is typed is typed twice. Of a short one the person is warned.
pub(crate) async fn new(file: Option<&Path>, cue: &str, option: &str) -> Outcome<Passphrase> {
    let Some(file) = file else {
        let tty = terminal(option)?;
        let typed = ask(&tty, &format!("{cue}: ")).await?;
        chosen(&typed)?;
        let again = ask(&tty, "the same again: ").await?;
        return if typed == again {
            Ok(typed)
        } else {
            Err(Failure::new("nothing was done").because("what was typed the second time is not the same"))
        };
    };
    let read = read(file)?;
    chosen(&read)?;
    Ok(read)
}

/// Refuses a new passphrase that is none, and warns of a short one.
fn chosen(passphrase: &[u8]) -> Outcome {
    if passphrase.iter().all(u8::is_ascii_whitespace) {
        return Err(Failure::new("the passphrase is empty").next(CHOOSE));
    }
    if let Some(warning) = short(passphrase) {
        output::error(&warning);
    }
    Ok(())
}

fn short(passphrase: &[u8]) -> Option<String> {
    let chars = String::from_utf8_lossy(passphrase).chars().count() as u64;
    (chars < GOOD_PASSPHRASE_CHARS as u64).then(|| {
        format!(
            "latch: warning: a passphrase of {} is short: whoever has its file may try as often as they like. Good are \
             {GOOD_PASSPHRASE_CHARS} or more, such as five words by chance",
            words::count(chars, "character")
        )
    })
}

/// Whether a person can be asked.
pub(crate) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && Tty::open().is_some()
}

fn terminal(option: &str) -> Outcome<Tty> {
    // A command whose input is a file or a pipe is part of a script.
    Tty::open().filter(|_| std::io::stdin().is_terminal()).ok_or_else(|| {
        Failure::new("nobody can be asked for a passphrase")
            .because("there is no terminal")
            .next(format!("{option} FILE, with the passphrase as its first line"))
    })
}

async fn ask(tty: &Tty, cue: &str) -> Outcome<Passphrase> {
    let typed = tty.ask_hidden(cue).await.doing(|| "cannot ask you".to_owned())?;
    let typed = typed.ok_or_else(|| Failure::new("no passphrase was typed"))?;
    checked(Zeroizing::new(typed.into_bytes()), "the passphrase")
}

fn read(file: &Path) -> Outcome<Passphrase> {
    let reading = || format!("cannot read {}", file.display());
    let mut bytes = Zeroizing::new(Vec::with_capacity(PASSPHRASE_LIMIT_BYTES + 2));
    // One byte more than may be, and an end of line: what is longer is seen to be.
    let limit = PASSPHRASE_LIMIT_BYTES as u64 + 2;
    let opened = File::open(file).doing(reading)?;
    need_private(&opened, file, "whoever has the passphrase and the state's files has the keys")?;
    opened.take(limit).read_to_end(&mut bytes).doing(reading)?;
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    bytes.truncate(end);
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    checked(bytes, &format!("the first line of {}", file.display()))
}

fn checked(passphrase: Passphrase, what: &str) -> Outcome<Passphrase> {
    match passphrase.len() {
        0 => Err(Failure::new(format!("{what} is empty")).next(CHOOSE)),
        1..=PASSPHRASE_LIMIT_BYTES => Ok(passphrase),
        _ => Err(Failure::new(format!("{what} is too long"))
            .because(format!("a passphrase has at most {PASSPHRASE_LIMIT_BYTES} bytes"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_new_passphrase_is_one_and_of_a_short_one_it_is_said_what_is_good() {
        assert!(chosen(b" \t ").unwrap_err().to_string().contains("is empty"));
        let warned = short("äöü".as_bytes()).unwrap();
        assert!(warned.contains("of 3 characters is short") && warned.contains("Good are 16 or more"), "{warned}");
        assert_eq!(short(&[b'x'; GOOD_PASSPHRASE_CHARS]), None);
    }

    #[test]
    fn a_passphrase_is_the_first_line() {
        let folder = std::env::temp_dir().join(format!("latch-passphrase-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("passphrase");
        for (content, expected) in
            [("open\n", "open"), ("open", "open"), ("two words\r\nnext", "two words"), (" x ", " x ")]
        {
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(read(&file).unwrap().as_slice(), expected.as_bytes(), "{content:?}");
        }
        for bad in [String::new(), "\nx".to_owned(), "x".repeat(PASSPHRASE_LIMIT_BYTES + 1)] {
            std::fs::write(&file, bad).unwrap();
            assert!(read(&file).is_err());
        }
        assert!(read(&folder.join("none")).is_err());
        std::fs::write(&file, "open").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&file).is_err(), "others may read it");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
