//! Which files are looked at: `--glob`.

use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// The globs of a command line. The last one that matches decides.
pub(crate) struct Globs {
    set: GlobSet,
    /// For each glob of the set.
    rules: Vec<Rule>,
    any_include: bool,
}

#[derive(Clone, Copy)]
struct Rule {
    exclude: bool,
    only_directories: bool,
}

impl Globs {
    /// Reads the globs; says which one is wrong and why.
    pub(crate) fn new(globs: &[String]) -> Result<Globs, String> {
        let mut set = GlobSetBuilder::new();
        let mut rules = Vec::new();
        for text in globs {
            let (exclude, pattern) = text.strip_prefix('!').map_or((false, text.as_str()), |rest| (true, rest));
            let (only_directories, pattern) = pattern.strip_suffix('/').map_or((false, pattern), |rest| (true, rest));
            set.add(compile(pattern).map_err(|error| format!("--glob '{text}': {}", error.kind()))?);
            rules.push(Rule { exclude, only_directories });
        }
        let set = set.build().map_err(|error| error.to_string())?;
        let any_include = rules.iter().any(|rule| !rule.exclude && !rule.only_directories);
        Ok(Globs { set, rules, any_include })
    }

    /// Whether a file is searched, or a directory gone into.
    pub(crate) fn allow(&self, path: &[u8], is_directory: bool) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        let matched = self.set.matches_candidate(&Candidate::from_bytes(path));
        let rule = matched.iter().map(|&index| self.rules[index]).rfind(|rule| is_directory || !rule.only_directories);
        match rule {
            Some(rule) => !rule.exclude,
            // a directory may hold what is asked for; a file that no glob names is not asked for
            None => is_directory || !self.any_include,
        }
    }
}

/// As in `.gitignore`: without a '/' it is about names at any depth, else about the path from the folder's root.
fn compile(pattern: &str) -> Result<Glob, globset::Error> {
    let anchored = pattern.strip_prefix('/').unwrap_or(pattern);
    let whole = if pattern.contains('/') { anchored.to_owned() } else { format!("**/{pattern}") };
    GlobBuilder::new(&whole).literal_separator(true).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(texts: &[&str]) -> Globs {
        Globs::new(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn without_globs_everything_is_searched() {
        assert!(globs(&[]).allow(b"a/b.rs", false));
    }

    #[test]
    fn a_name_matches_at_any_depth_and_a_path_only_there() {
        let names = globs(&["*.rs"]);
        assert!(names.allow(b"main.rs", false) && names.allow(b"a/b/main.rs", false));
        assert!(!names.allow(b"a/b.txt", false));
        let paths = globs(&["src/*.rs"]);
        assert!(paths.allow(b"src/main.rs", false));
        assert!(!paths.allow(b"a/src/main.rs", false) && !paths.allow(b"src/a/main.rs", false));
        assert!(globs(&["/*.rs"]).allow(b"main.rs", false) && !globs(&["/*.rs"]).allow(b"a/main.rs", false));
        assert!(globs(&["src/**"]).allow(b"src/a/b", false));
    }

    #[test]
    fn directories_are_gone_into_unless_they_are_excluded() {
        assert!(globs(&["*.rs"]).allow(b"src", true));
        let excluded = globs(&["!target"]);
        assert!(!excluded.allow(b"a/target", true) && !excluded.allow(b"target", false));
        assert!(excluded.allow(b"src", true) && excluded.allow(b"a.txt", false));
        let only_directories = globs(&["!build/"]);
        assert!(!only_directories.allow(b"build", true) && only_directories.allow(b"build", false));
    }

    #[test]
    fn the_last_that_matches_decides() {
        let globs = globs(&["*.rs", "!test_*", "test_me.rs"]);
        assert!(globs.allow(b"main.rs", false) && globs.allow(b"test_me.rs", false));
        assert!(!globs.allow(b"test_other.rs", false));
    }

    #[test]
    fn names_that_are_not_text_can_match() {
        assert!(globs(&["*.rs"]).allow(b"\xff\xfe.rs", false));
    }

    #[test]
    fn a_bad_glob_is_named() {
        let said = Globs::new(&["*.rs".to_owned(), "a[".to_owned()]).err().unwrap();
        assert!(said.contains("'a['"), "{said}");
    }
}
