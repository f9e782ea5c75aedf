//! `latch.toml`: what an author writes about an app, in words. All of it is signed.

use std::path::Path;

use package::{Announced, Limits, Manifest, WORLD};
use serde::Deserialize;
use vat::Rights;
use vat::names::INTERFACES;

use crate::failure::{Failure, Outcome};

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
    /// A name that the node knows, such as `Directory`, or a schema id such as `0x9d3f...`.
    interface: String,
    rights: RightsAsWritten,
    reason: String,
}

/// `"read"`, or `["read", "append"]`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
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
#[serde(untagged)]
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
        Failure::new(format!("cannot read {}", path.display()))
            .because(error)
            .next("run it in an app's folder; `latch new NAME` makes one")
    })?;
    parse(&text).map_err(|why| Failure::new(format!("{} is not right", path.display())).because(why))
}

fn parse(text: &str) -> Result<Manifest, String> {
    let written: Written = toml::from_str(text).map_err(|error| error.to_string())?;
    let manifest = Manifest {
        name: written.name,
        version: written.version,
        author_name: written.author_name,
        description: written.description,
        world: WORLD.to_owned(),
        requests: written.request.into_iter().map(announced).collect::<Result<_, _>>()?,
        limits: Limits {
            memory_bytes: written.limits.memory.0,
            turn_ms: written.limits.turn.0,
            output_bytes: written.limits.output.0,
            stack_bytes: written.limits.stack.0,
        },
        ..Manifest::default()
    };
    manifest.check().map_err(|refusal| refusal.to_string())?;
    Ok(manifest)
}

fn announced(written: WrittenRequest) -> Result<Announced, String> {
    let has = |right: Right| written.rights.has(right);
    let rights = Rights { read: has(Right::Read), append: has(Right::Append), write: has(Right::Write) }.complete();
    let interface = interface(&written.interface).ok_or_else(|| {
        let known: Vec<&str> = INTERFACES.iter().map(|interface| interface.name).collect();
        format!(
            "there is no interface {:?}; known are {}, others go by their id, 0x…",
            written.interface,
            known.join(", ")
        )
    })?;
    Ok(Announced { label: written.label, interface, rights, reason: written.reason })
}

fn interface(name: &str) -> Option<u64> {
    match name.strip_prefix("0x") {
        Some(id) => u64::from_str_radix(id, 16).ok(),
        None => INTERFACES.iter().find(|interface| interface.name == name).map(|interface| interface.id),
    }
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
    fn what_is_not_known_is_said() {
        for (wrong, said) in [
            (WHOLE.replace("[limits]", "[limit]"), "limit"),
            (WHOLE.replace("\"Directory\"", "\"Folder\""), "no interface"),
            (WHOLE.replace("[\"read\"]", "[\"execute\"]"), "rights"),
            (WHOLE.replace("1 MiB", "1 MB"), "GiB"),
            (WHOLE.replace("1 MiB", "17179869184 GiB"), "not a number"),
            (WHOLE.replace("\"search\"", "\"Search!\""), "name"),
        ] {
            let error = parse(&wrong).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
