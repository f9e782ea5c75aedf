//! The arithmetic of caveats: what a child may have of what its parent has. Pure, and only ever narrowing.

use vat::words::{Method, Rights};

/// What a holder may do with an object, until when, and how much of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caveats {
    /// What may be done.
    pub rights: Rights,
    /// Milliseconds since 1970; 0: never.
    pub expires_at_ms: u64,
    /// Calls in all; none: no limit.
    pub calls: Option<u64>,
    /// Bytes in all, both ways; none: no limit.
    pub bytes: Option<u64>,
    /// Bytes that may be stored at once, where that can be limited; none: no limit of its own. What is stored on a child counts for
    /// the parent as well, so a child need not be given a part.
    pub quota: Option<u64>,
    /// Allowed methods; empty: all.
    pub methods: Vec<Method>,
}

/// What a parent has left for its children and its links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Calls; none: no limit.
    pub calls: Option<u64>,
    /// Bytes; none: no limit.
    pub bytes: Option<u64>,
}

/// A link is given this part of what is left of a budget at a time. What a death loses is at most two such slices, the one
/// in use and one on its way; and a budget of any size is used up in slices whose number grows with its logarithm only,
/// so that few of them are written down.
const SLICE_PART: u64 = 8;

/// The smallest slice of calls, unless less is left. A busy link makes as many while one record reaches the disk (about
/// a millisecond).
const SLICE_CALLS_AT_LEAST: u64 = 256;

/// The smallest slice of bytes, unless less is left: four of the largest messages.
const SLICE_BYTES_AT_LEAST: u64 = 4 << 20;

impl Left {
    /// Whether a budget is used up: nothing can be done with what is left.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self.calls == Some(0) || self.bytes == Some(0)
    }

    /// How many calls a link gets of this at a time.
    #[must_use]
    pub fn slice_calls(self) -> u64 {
        slice(self.calls, SLICE_CALLS_AT_LEAST)
    }

    /// How many bytes a link gets of this at a time.
    #[must_use]
    pub fn slice_bytes(self) -> u64 {
        slice(self.bytes, SLICE_BYTES_AT_LEAST)
    }
}

fn slice(left: Option<u64>, at_least: u64) -> u64 {
    left.map_or(0, |left| (left / SLICE_PART).max(at_least).min(left))
}

/// Why caveats were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TooWide {
    /// Nothing could be done with it.
    NoRights,
    /// The parent lacks some.
    Rights {
        /// What the parent has.
        parent: Rights,
    },
    /// The parent has so many left.
    Calls(u64),
    /// The parent has so many left.
    Bytes(u64),
    /// The parent may store no more.
    Quota(u64),
    /// A budget of nothing.
    Nothing,
    /// The parent does not allow this one.
    Method(Method),
    /// It would be over at once.
    Expired,
}

impl std::fmt::Display for TooWide {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TooWide::NoRights => formatter.write_str("no right is left to grant: ask for read, append or write"),
            TooWide::Rights { parent } => write!(formatter, "it can be granted with {parent} at most: ask for less"),
            TooWide::Calls(left) => write!(formatter, "{left} calls are left to give: ask for that many or fewer"),
            TooWide::Bytes(left) => write!(formatter, "{left} bytes are left to give: ask for that many or fewer"),
            TooWide::Quota(quota) => {
                write!(formatter, "{quota} bytes may be stored in all: ask for that quota or less")
            }
            TooWide::Nothing => formatter.write_str("a budget of 0 gives nothing: leave it out, or say at least 1"),
            TooWide::Method(method) => {
                let name = crate::record::method_name(*method);
                write!(formatter, "the method {name} is not allowed by what it would be a child of: leave it out")
            }
            TooWide::Expired => formatter.write_str("its time would be over already: choose a later end"),
        }
    }
}

/// The caveats of a child: what was asked for, as far as the parent has it. Rights, budgets and methods that the parent
/// lacks are refused; a time beyond the parent's ends with the parent's. A child of a limited parent is limited: where
/// it asks for no budget it gets half of what is left, so that the parent keeps some.
pub fn narrow(parent: &Caveats, left: Left, asked: &Caveats, now_ms: u64) -> Result<Caveats, TooWide> {
    let rights = asked.rights.complete();
    if rights == Rights::NONE {
        return Err(TooWide::NoRights);
    }
    if !rights.is_subset_of(parent.rights) {
        return Err(TooWide::Rights { parent: parent.rights });
    }
    if [asked.calls, asked.bytes, asked.quota].contains(&Some(0)) {
        return Err(TooWide::Nothing);
    }
    let expires_at_ms = earlier(parent.expires_at_ms, asked.expires_at_ms);
    if expires_at_ms != 0 && expires_at_ms <= now_ms {
        return Err(TooWide::Expired);
    }
    if let (Some(parent), Some(asked)) = (parent.quota, asked.quota)
        && asked > parent
    {
        return Err(TooWide::Quota(parent));
    }
    Ok(Caveats {
        rights,
        expires_at_ms,
        quota: asked.quota,
        calls: share(left.calls, asked.calls).map_err(TooWide::Calls)?,
        bytes: share(left.bytes, asked.bytes).map_err(TooWide::Bytes)?,
        methods: methods(&parent.methods, &asked.methods)?,
    })
}

/// The earlier of two ends, where 0 is never.
fn earlier(one: u64, other: u64) -> u64 {
    match (one, other) {
        (0, end) | (end, 0) => end,
        (one, other) => one.min(other),
    }
}

/// What a child gets of a budget, or what was left when that is too little.
fn share(left: Option<u64>, asked: Option<u64>) -> Result<Option<u64>, u64> {
    match (left, asked) {
        (None, asked) => Ok(asked),
        (Some(0), _) => Err(0),
        (Some(left), Some(asked)) if asked > left => Err(left),
        (Some(_), Some(asked)) => Ok(Some(asked)),
        (Some(left), None) => Ok(Some(left.div_ceil(2))),
    }
}

fn methods(parent: &[Method], asked: &[Method]) -> Result<Vec<Method>, TooWide> {
    let mut methods = if asked.is_empty() { parent.to_vec() } else { asked.to_vec() };
    methods.sort_unstable();
    methods.dedup();
    match methods.iter().find(|method| !parent.is_empty() && !parent.contains(method)) {
        Some(method) => Err(TooWide::Method(*method)),
        None => Ok(methods),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Generator;

    fn any(random: &mut Generator) -> Caveats {
        let bits = random.below(8);
        let budget = |random: &mut Generator| if random.below(2) == 0 { None } else { Some(random.below(100)) };
        Caveats {
            quota: None,
            rights: Rights { read: bits & 1 != 0, append: bits & 2 != 0, write: bits & 4 != 0 }.complete(),
            expires_at_ms: random.below(4) * 1_000,
            calls: budget(random),
            bytes: budget(random),
            methods: (0..random.below(4))
                .map(|_| Method { interface: 1, ordinal: u16::try_from(random.below(4)).unwrap() })
                .collect(),
        }
    }

    fn is_within(child: &Caveats, parent: &Caveats, left: Left) -> bool {
        let limited = |child: Option<u64>, left: Option<u64>| match (child, left) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(child), Some(left)) => child <= left,
        };
        child.rights.is_subset_of(parent.rights)
            && (parent.expires_at_ms == 0 || (child.expires_at_ms != 0 && child.expires_at_ms <= parent.expires_at_ms))
            && limited(child.calls, left.calls)
            && limited(child.bytes, left.bytes)
            && (parent.methods.is_empty()
                || (!child.methods.is_empty() && child.methods.iter().all(|method| parent.methods.contains(method))))
    }

    #[test]
    fn a_child_never_has_more_than_its_parent() {
        for seed in 0..20_000 {
            let mut random = Generator::new(seed);
            let (parent, asked) = (any(&mut random), any(&mut random));
            let spent = |limit: Option<u64>, random: &mut Generator| limit.map(|limit| random.below(limit + 1));
            let left = Left { calls: spent(parent.calls, &mut random), bytes: spent(parent.bytes, &mut random) };
            let now_ms = random.below(4) * 1_000;
            if let Ok(child) = narrow(&parent, left, &asked, now_ms) {
                assert!(is_within(&child, &parent, left), "seed {seed}: {child:?} of {parent:?}, {left:?}");
                assert!(is_within(&child, &asked, Left { calls: asked.calls, bytes: asked.bytes }), "seed {seed}");
                assert!(child.expires_at_ms == 0 || child.expires_at_ms > now_ms, "seed {seed}");
            }
        }
    }

    #[test]
    fn narrowing_again_with_the_same_changes_nothing() {
        for seed in 0..5_000 {
            let mut random = Generator::new(seed);
            let (parent, asked) = (any(&mut random), any(&mut random));
            let left = Left { calls: parent.calls, bytes: parent.bytes };
            if let Ok(child) = narrow(&parent, left, &asked, 0) {
                let all = Left { calls: child.calls, bytes: child.bytes };
                let again = narrow(&child, all, &child, 0);
                if child.calls != Some(0) && child.bytes != Some(0) {
                    assert_eq!(again, Ok(child), "seed {seed}");
                }
            }
        }
    }

    #[test]
    fn a_budget_is_used_up_in_few_slices_of_which_none_is_most_of_it() {
        for budget in [1, 255, 256, 10_000, 1 << 32, u64::MAX] {
            let (mut left, mut slices) = (budget, 0);
            while left > 0 {
                let slice = Left { calls: Some(left), bytes: None }.slice_calls();
                assert!(slice > 0 && (slice <= left / SLICE_PART || slice <= SLICE_CALLS_AT_LEAST));
                (left, slices) = (left - slice, slices + 1);
            }
            assert!(slices <= 300, "{slices} slices of {budget}");
        }
        assert_eq!(Left::default().slice_bytes(), 0);
    }

    #[test]
    fn what_the_parent_lacks_is_refused_and_named() {
        let parent = Caveats { rights: Rights::READ, calls: Some(10), ..Caveats::default() };
        let left = Left { calls: Some(3), bytes: None };
        let ask = |asked: &Caveats| narrow(&parent, left, asked, 5).unwrap_err();
        let read = Caveats { rights: Rights::READ, ..Caveats::default() };
        assert_eq!(ask(&Caveats { rights: Rights::ALL, ..read.clone() }), TooWide::Rights { parent: Rights::READ });
        assert_eq!(ask(&Caveats { rights: Rights::NONE, ..read.clone() }), TooWide::NoRights);
        assert_eq!(ask(&Caveats { calls: Some(4), ..read.clone() }), TooWide::Calls(3));
        assert_eq!(ask(&Caveats { bytes: Some(0), ..read.clone() }), TooWide::Nothing);
        assert_eq!(ask(&Caveats { expires_at_ms: 5, ..read.clone() }), TooWide::Expired);
        assert_eq!(narrow(&parent, left, &read, 5).unwrap().calls, Some(2));
    }
}
