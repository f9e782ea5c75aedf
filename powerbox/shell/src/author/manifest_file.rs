//! `latch.toml`: what an author writes about an app, in words. All of it is signed.

use std::path::Path;

use package::{Announced, Limits, Manifest, WORLD};
use serde::Deserialize;
use vat::Rights;
use vat::names::INTERFACES;

use crate::failure::{Failure, Outcome};
use crate::folder;
use crate::spec::methods::interface_names;

/// The file beside an app's Cargo.toml.
pub(super) const NAME: &str = "latch.toml";

/// The whole file. A word that is not known is an error: it might be a request spelt wrong.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    version: String,
    /// The author's own words about themselves.
    #[serde(default)]
    author_name: String,
    #[serde(default)]
    description: String,
    /// Everything that the app may ask for.
    #[serde(default)]
    request: Vec<WrittenRequest>,
    #[serde(default)]
    limits: WrittenLimits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRequest {
    label: String,
    interface: Interface,
    rights: RightsAsWritten,
    reason: String,
}

/// A name that the node knows, such as `Directory`, or a schema id such as `0x9d3f...`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Interface(u64);

impl TryFrom<String> for Interface {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let id = match name.strip_prefix("0x") {
            Some(id) => u64::from_str_radix(id, 16).ok(),
            None => INTERFACES.iter().find(|interface| interface.name == name).map(|interface| interface.id),
        };
        id.map(Self).ok_or_else(|| {
            format!("there is no interface {name:?}; known are {}, others go by their id, 0x…", interface_names())
        })
    }
}

/// `"read"`, or `["read", "append"]`.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "rights are \"read\", \"append\" or \"write\", or several of them: [\"read\", \"append\"]"
)]
enum RightsAsWritten {
    One(Right),
    Several(Vec<Right>),
}

impl RightsAsWritten {
    fn has(&self, right: Right) -> bool {
        match self {
            Self::One(one) => *one == right,
            Self::Several(several) => several.contains(&right),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Right {
    Read,
    Append,
    Write,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenLimits {
    memory: Size,
    turn: Time,
    output: Size,
    stack: Size,
}

/// Bytes: a number, or one with a unit, such as "16 MiB".
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Amount")]
struct Size(u64);

/// Milliseconds: a number, or one with a unit, such as "10 s".
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Amount")]
struct Time(u32);

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a limit is a number, or one with a unit in quotes, such as \"16 MiB\" or \"10 s\"")]
enum Amount {
    Number(u64),
    Words(String),
}

impl Amount {
    /// The number in the smallest unit; `units` says how many of it the others have.
    fn in_units(self, units: &[(&str, u64)]) -> Result<u64, String> {
        let words = match self {
            Self::Number(number) => return Ok(number),
            Self::Words(words) => words,
        };
        let (number, unit) =
            words.trim().split_at(words.trim().find(|c: char| !c.is_ascii_digit()).unwrap_or(words.len()));
        let known = units.iter().find(|(name, _)| *name == unit.trim());
        let product = known.and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(*factor));
        product.ok_or_else(|| {
            let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
            format!("{words:?} is not a number with one of {}", names.join(", "))
        })
    }
}

impl TryFrom<Amount> for Size {
    type Error = String;

    fn try_from(amount: Amount) -> Result<Self, String> {
        amount.in_units(&[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]).map(Self)
    }
}

impl TryFrom<Amount> for Time {
    type Error = String;

    fn try_from(amount: Amount) -> Result<Self, String> {
        let ms = amount.in_units(&[("ms", 1), ("s", 1_000), ("min", 60_000)])?;
        u32::try_from(ms).map(Self).map_err(|_| format!("{ms} ms is too long"))
    }
}

/// The manifest, but for what signing fills in.
///
/// # Errors
/// The file is missing, or something in it is not as it must be.
pub(super) fn read(folder: &Path) -> Outcome<Manifest> {
    let path = folder.join(NAME);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let failure = Failure::new(format!("cannot read {}", path.display())).because(error);
        if missing { failure.next("run it in an app's folder; `latch new NAME` makes one") } else { failure }
    })?;
    parse(&text).map_err(|wrong| {
        let failure = Failure::new(format!("{} is not right", path.display()));
        let failure = match wrong {
            Wrong::Words(error) => failure.showing(&error.to_string()),
            Wrong::Content(refusal) => failure.because(refusal),
        };
        failure.next(format!("mend it, then: latch build {}", folder::shown(folder)))
    })
}

/// What is not right about the file.
#[derive(Debug)]
enum Wrong {
    /// As the parser shows it: with the line, and what may stand there.
    Words(toml::de::Error),
    /// As a package's content.
    Content(package::Refusal),
}

fn parse(text: &str) -> Result<Manifest, Wrong> {
    let written: Written = toml::from_str(text).map_err(Wrong::Words)?;
    let manifest = Manifest {
        name: written.name,
        version: written.version,
        author_name: written.author_name,
        description: written.description,
        world: WORLD.to_owned(),
        requests: written.request.into_iter().map(announced).collect(),
        limits: Limits {
            memory_bytes: written.limits.memory.0,
            turn_ms: written.limits.turn.0,
            output_bytes: written.limits.output.0,
            stack_bytes: written.limits.stack.0,
        },
        ..Manifest::default()
    };
    manifest.check().map_err(Wrong::Content)?;
    Ok(manifest)
}

fn announced(written: WrittenRequest) -> Announced {
    let has = |right: Right| written.rights.has(right);
    let rights = Rights { read: has(Right::Read), append: has(Right::Append), write: has(Right::Write) }.complete();
    Announced { label: written.label, interface: written.interface.0, rights, reason: written.reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
        name = "search"
        version = "1.2.3"
        author_name = "Ada"
        description = "Finds lines"
        [[request]]
        label = "folder"
        interface = "Directory"
        rights = ["read"]
        reason = "to search in it"
        [[request]]
        label = "other"
        interface = "0xdd5af00625aea914"
        rights = "write"
        reason = "to see"
        [limits]
        memory = "1 MiB"
        turn = 1500
        stack = "64KiB"
    "#;

    #[test]
    fn everything_that_is_written_is_in_the_manifest() {
        let manifest = parse(WHOLE).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.version.as_str()), ("search", "1.2.3"));
        assert_eq!((manifest.author_name.as_str(), manifest.description.as_str()), ("Ada", "Finds lines"));
        assert_eq!(manifest.requests[0].interface, INTERFACES[0].id);
        assert_eq!(manifest.requests[0].rights, Rights::READ);
        assert_eq!(manifest.requests[1].interface, 0xdd5a_f006_25ae_a914);
        assert!(manifest.requests[1].rights.append, "who may write may append");
        assert_eq!(
            manifest.limits,
            Limits { memory_bytes: 1 << 20, turn_ms: 1_500, stack_bytes: 64 << 10, output_bytes: 0 }
        );
        assert_eq!(manifest.world, WORLD);
    }

    #[test]
    fn what_is_not_known_is_said_with_its_line_and_what_may_stand_there() {
        for (wrong, line, said) in [
            (WHOLE.replace("[limits]", "[limit]"), "16 |", "expected one of `name`, `version`, `author_name`"),
            (WHOLE.replace("reason = \"to see\"", "raeson = \"\""), "15 |", "expected one of `label`, `interface`"),
            (WHOLE.replace("turn", "turns"), "18 |", "expected one of `memory`, `turn`, `output`, `stack`"),
            (WHOLE.replace("version = \"1.2.3\"", ""), "", "missing field `version`"),
            (WHOLE.replace("\"Directory\"", "\"Folder\""), "8 |", "known are Directory, File"),
            (WHOLE.replace("[\"read\"]", "[\"execute\"]"), "9 |", "\"read\", \"append\" or \"write\""),
            (WHOLE.replace("[\"read\"]", "7"), "9 |", "\"read\", \"append\" or \"write\""),
            (WHOLE.replace("1 MiB", "1 MB"), "17 |", "one of B, KiB, MiB, GiB"),
            (WHOLE.replace("1 MiB", "17179869184 GiB"), "17 |", "not a number"),
            (WHOLE.replace("1500", "true"), "18 |", "such as \"16 MiB\" or \"10 s\""),
            (WHOLE.replace("name = \"search\"", "name = search"), "2 |", "string"),
        ] {
            let Err(Wrong::Words(error)) = parse(&wrong) else { panic!("it was taken: {wrong}") };
            let shown = error.to_string();
            assert!(shown.contains(line) && shown.contains(said), "{shown}");
        }
        let refused = parse(&WHOLE.replace("\"search\"", "\"Search!\""));
        assert!(matches!(refused, Err(Wrong::Content(_))), "{refused:?}");
    }

    #[test]
    fn an_author_reads_lines() {
        let folder = std::env::temp_dir().join(format!("latch-manifest-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(NAME), "naem = \"x\"\n").unwrap();
        let shown = read(&folder).unwrap_err().to_string();
        assert!(shown.contains("\n    1 | naem = \"x\"\n") && !shown.contains("\\n"), "{shown}");
        assert!(shown.ends_with(&format!("next: mend it, then: latch build {}", folder.display())), "{shown}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
