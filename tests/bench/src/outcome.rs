//! What a row found, and how it is printed: a table for people, one line of JSON a row for programs.

use crate::sample::Sample;
use serde::Serialize;

/// What a ratio should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Aim {
    AtMost(f64),
    AtLeast(f64),
    /// Nothing is aimed at yet: the figures are there to be compared from one time to the next.
    Shown,
}

impl Aim {
    /// Nothing where there is no aim.
    fn is_met(self, ratio: f64) -> Option<bool> {
        match self {
            Self::AtMost(limit) => Some(ratio <= limit),
            Self::AtLeast(limit) => Some(ratio >= limit),
            Self::Shown => None,
        }
    }

    /// The ratio that is farther from what it should be.
    fn worse(self, left: f64, right: f64) -> f64 {
        match self {
            Self::AtMost(_) | Self::Shown => left.max(right),
            Self::AtLeast(_) => left.min(right),
        }
    }
}

impl std::fmt::Display for Aim {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(limit) => write!(formatter, "<={limit}"),
            Self::AtLeast(limit) => write!(formatter, ">={limit}"),
            Self::Shown => formatter.write_str("none"),
        }
    }
}

/// One way in which a row was measured: on one core or two, to *cut* or to *quiet*.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) ratio: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) baseline: f64,
    pub(crate) baseline_p99: f64,
    /// Shown, and not held against the aim.
    pub(crate) aside: bool,
    /// Where it is not the row's.
    pub(crate) unit: Option<&'static str>,
}

impl Part {
    /// Compares the medians of two samples.
    pub(crate) fn of_medians(name: impl Into<String>, subject: &Sample, baseline: &Sample) -> Self {
        Self {
            name: name.into(),
            ratio: subject.p50() / baseline.p50(),
            p50: subject.p50(),
            p99: subject.p99(),
            baseline: baseline.p50(),
            baseline_p99: baseline.p99(),
            aside: false,
            unit: None,
        }
    }

    /// Compares the slowest hundredth of two samples.
    pub(crate) fn of_tails(name: impl Into<String>, subject: &Sample, baseline: &Sample) -> Self {
        let medians = Self::of_medians(name, subject, baseline);
        Self { ratio: subject.p99() / baseline.p99(), baseline: baseline.p99(), ..medians }
    }

    /// The same for a rate: its slowest hundredth is at the other end.
    pub(crate) fn of_rates(name: impl Into<String>, subject: &Sample, baseline: &Sample) -> Self {
        let medians = Self::of_medians(name, subject, baseline);
        Self { p99: subject.percentile(1.0), baseline_p99: baseline.percentile(1.0), ..medians }
    }

    /// Compares a sample with a number that is given.
    pub(crate) fn of_budget(name: impl Into<String>, subject: &Sample, budget: f64) -> Self {
        let baseline: Sample = [budget].into_iter().collect();
        Self::of_medians(name, subject, &baseline)
    }

    /// The same, not held against the aim.
    pub(crate) fn aside(self) -> Self {
        Self { aside: true, ..self }
    }

    /// The same, of something else than the row's own figures, and so not held against the aim either.
    pub(crate) fn in_unit(self, unit: &'static str) -> Self {
        Self { unit: Some(unit), ..self.aside() }
    }
}

/// A row's finding.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) row: String,
    pub(crate) aim: Aim,
    pub(crate) unit: &'static str,
    /// What `baseline` is, in words.
    pub(crate) against: &'static str,
    pub(crate) parts: Vec<Part>,
    /// What a reader must know beside the figures.
    pub(crate) note: String,
}

impl Outcome {
    /// The part that is farthest from the aim stands for the row.
    fn headline(&self) -> Option<&Part> {
        let counted = self.parts.iter().filter(|part| !part.aside);
        counted.reduce(|worst, part| if self.aim.worse(worst.ratio, part.ratio) == part.ratio { part } else { worst })
    }

    /// Whether the aim is met by every part that counts; nothing where there is no aim.
    pub(crate) fn is_met(&self) -> Option<bool> {
        match self.headline() {
            Some(part) => self.aim.is_met(part.ratio),
            None => Some(false),
        }
    }

    /// One line of JSON.
    pub(crate) fn json(&self) -> String {
        let headline = self.headline();
        let figure = |of: fn(&Part) -> f64| headline.map(|part| rounded(of(part)));
        let line = Line {
            row: &self.row,
            ratio: figure(|part| part.ratio),
            aim: self.aim.to_string(),
            p50: figure(|part| part.p50),
            p99: figure(|part| part.p99),
            baseline: figure(|part| part.baseline),
            unit: self.unit,
            met: self.is_met(),
            against: self.against,
            parts: self.parts.iter().map(|part| PartLine::of(part, self.unit)).collect(),
            note: &self.note,
        };
        // Plain data of ours: there is nothing in it that JSON cannot say.
        serde_json::to_string(&line).unwrap_or_default()
    }

    /// A block of a table: the row, then its parts.
    pub(crate) fn table(&self) -> String {
        let word = match self.is_met() {
            Some(true) => "pass",
            Some(false) => "MISS",
            None => "    ",
        };
        let mut lines =
            vec![format!("{:<22} {word}  aim {}, {}, against {}", self.row, self.aim, self.unit, self.against)];
        lines.extend(self.parts.iter().map(|part| {
            let aside = if part.aside { "  (aside)" } else { "" };
            let name = part.unit.map_or_else(|| part.name.clone(), |unit| format!("{}, {unit}", part.name));
            format!(
                "  {:<28} {:>6.2}x   p50 {:>10}  p99 {:>10}   baseline {:>10} (p99 {}){aside}",
                name,
                part.ratio,
                figure(part.p50),
                figure(part.p99),
                figure(part.baseline),
                figure(part.baseline_p99)
            )
        }));
        if !self.note.is_empty() {
            lines.push(format!("  {}", self.note));
        }
        lines.join("\n")
    }
}

/// A row as a line of JSON, in this order.
#[derive(Serialize)]
struct Line<'a> {
    row: &'a str,
    ratio: Option<f64>,
    aim: String,
    p50: Option<f64>,
    p99: Option<f64>,
    baseline: Option<f64>,
    unit: &'static str,
    /// Null where there is no aim.
    met: Option<bool>,
    against: &'static str,
    parts: Vec<PartLine<'a>>,
    note: &'a str,
}

#[derive(Serialize)]
struct PartLine<'a> {
    name: &'a str,
    ratio: f64,
    p50: f64,
    p99: f64,
    baseline: f64,
    baseline_p99: f64,
    unit: &'static str,
    aside: bool,
}

impl<'a> PartLine<'a> {
    fn of(part: &'a Part, unit_of_row: &'static str) -> Self {
        Self {
            name: &part.name,
            ratio: rounded(part.ratio),
            p50: rounded(part.p50),
            p99: rounded(part.p99),
            baseline: rounded(part.baseline),
            baseline_p99: rounded(part.baseline_p99),
            unit: part.unit.unwrap_or(unit_of_row),
            aside: part.aside,
        }
    }
}

/// Six significant digits: no measurement here has more.
fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(5 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

fn figure(value: f64) -> String {
    if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, ratio: f64) -> Part {
        Part {
            name: name.into(),
            ratio,
            p50: ratio,
            p99: ratio,
            baseline: 1.0,
            baseline_p99: 1.0,
            aside: false,
            unit: None,
        }
    }

    fn outcome(aim: Aim, parts: Vec<Part>) -> Outcome {
        Outcome { row: "row".into(), aim, unit: "us", against: "itself", parts, note: String::new() }
    }

    #[test]
    fn the_worst_part_stands_for_the_row() {
        let parts = vec![part("a", 1.0), part("b", 1.3), part("c", 9.0).aside()];
        let most = outcome(Aim::AtMost(1.1), parts.clone());
        let least = outcome(Aim::AtLeast(0.9), parts);
        assert_eq!((most.is_met(), least.is_met()), (Some(false), Some(true)));
        let line: serde_json::Value = serde_json::from_str(&most.json()).unwrap();
        assert_eq!((line["ratio"].as_f64(), line["aim"].as_str()), (Some(1.3), Some("<=1.1")));
        assert!(
            most.json().starts_with(r#"{"row":"row","ratio":1.3,"aim":"<=1.1","p50":1.3,"p99":1.3,"baseline":1.0,"#)
        );
    }

    #[test]
    fn a_row_without_a_measurement_is_not_met() {
        assert_eq!(outcome(Aim::AtMost(1.0), Vec::new()).is_met(), Some(false));
    }

    #[test]
    fn a_row_without_an_aim_is_neither_met_nor_missed() {
        let shown = outcome(Aim::Shown, vec![part("a", 2.0), part("b", 3.0).in_unit("bytes")]);
        let line: serde_json::Value = serde_json::from_str(&shown.json()).unwrap();
        assert_eq!((&line["met"], line["ratio"].as_f64()), (&serde_json::Value::Null, Some(2.0)));
        assert_eq!((&line["parts"][0]["unit"], &line["parts"][1]["unit"]), (&"us".into(), &"bytes".into()));
        assert!(shown.table().contains("b, bytes"));
    }

    #[test]
    fn figures_keep_six_digits() {
        assert_eq!((rounded(12_345_678.0), rounded(0.012_345_67), rounded(0.0)), (12_345_700.0, 0.012_345_7, 0.0));
    }
}
