//! What a person is asked when an app wants something, and what they may answer. Text only: no terminal here.
//!
//! Everything in the prompt is the system's word but for two things, and both are marked as the app's: what it has in
//! mind, and its reason. Nothing is granted by just pressing Enter.

use std::path::Path;

use vat::Rights;

use super::confirm;
use crate::ask::Found;
use crate::rows::Request;
use crate::spec::grant::Given;
use crate::spec::target::{HOST_PREFIX, Target};
use crate::text::{escape, words};

/// What the person decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Give this; where it is a listed offer, under the name that the node knows.
    Give(Given),
    /// Not now.
    No,
    /// Not now, and do not ask again.
    Never,
}

/// Providers that take a word of the person's own in the place of `PATH`, and what they give.
const RESOLVERS: [(&str, &str, &str); 2] = [
    ("host:PATH", "PATH ", "a folder of this machine"),
    ("storage:/PATH", "storage:/PATH", "a folder of this node's store"),
];
/// What the path of a folder in the store begins with.
const STORE_PREFIX: &str = "storage:/";

/// The question.
pub(crate) fn question(request: &Request) -> String {
    let mut text = format!(
        "\n{} asks for a {}, {}, as \"{}\"\n",
        escape::line(&request.instance),
        escape::line(&request.interface_name),
        words::rights(request.rights),
        escape::line(&request.label),
    );
    app_words(&mut text, "it wants", &request.hint);
    app_words(&mut text, "its reason", &request.reason);
    text.push_str("it holds nothing of this kind until you choose one:\n");
    let mut number = 0;
    for provider in &request.providers {
        if let Some((name, written, what)) = RESOLVERS.into_iter().find(|(name, ..)| name == provider) {
            text.push_str(&format!("  {written}  {what} ({name})\n"));
        } else {
            number += 1;
            text.push_str(&format!("  {number:<5}  {}\n", escape::object(provider)));
        }
    }
    if request.providers.is_empty() {
        text.push_str("  (nothing on this node serves that)\n");
    }
    text.push_str("  n      no\n  never  no, and do not ask again\n");
    text
}

/// The app's own words, in quotes and marked as such.
fn app_words(text: &mut String, what: &str, said: &str) {
    if !said.is_empty() {
        text.push_str(&format!("  {what}, in the app's own words: {}\n", escape::quoted(said)));
    }
}

/// What stands in front of the answer.
pub(crate) fn cue(request: &Request) -> String {
    let numbers = numbered(request).count();
    let mut choices = String::new();
    if request.providers.iter().any(|provider| is_resolver(provider)) {
        choices.push_str("path / ");
    }
    if numbers > 0 {
        choices.push_str("number / ");
    }
    format!("{} for {}? [{choices}n / never] ", escape::line(&request.label), escape::line(&request.instance))
}

/// The last question before something is given: who gets what, in the system's own words. An answer that was meant for a
/// question of the app's ends here at the latest. `rights`: those that are given of it.
pub(crate) fn confirmation(request: &Request, found: &Found, given: &Given, rights: Rights) -> String {
    let mut text = String::new();
    let object = match found {
        Found::Folder(folder) => {
            text.push_str(&confirm::detour(folder).map_or_else(String::new, |detour| format!("  {detour}\n")));
            format!("the folder {}", escape::path_name(folder.path()))
        }
        Found::Known(_) => escape::object(&found.to_string()),
    };
    let (instance, label) = (escape::line(&request.instance), escape::line(&request.label));
    let rights = words::share(rights, given.rights, request.rights);
    text.push_str(&format!("give {instance} {object} ({rights}) as \"{label}\"? {}", confirm::CHOICES));
    text
}

/// Reads an answer. The error is what to tell the person before asking again.
pub(crate) fn answer(text: &str, request: &Request, current: &Path, home: Option<&Path>) -> Result<Answer, String> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "" => return Err("an answer is needed".to_owned()),
        "n" | "no" => return Ok(Answer::No),
        "never" => return Ok(Answer::Never),
        "y" | "yes" => return Err("which one? write its path or number".to_owned()),
        _ => {}
    }
    let (choice, options) = text.split_once(',').map_or((text, ""), |(choice, _)| (choice, &text[choice.len()..]));
    if !choice.is_empty() && choice.bytes().all(|byte| byte.is_ascii_digit()) {
        let index = choice.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let offer = index.and_then(|index| numbered(request).nth(index)).ok_or_else(|| {
            format!("there is no number {choice} in the list (a folder of that name is written ./{choice})")
        })?;
        let mut given = Given::parse(&format!("x:x{options}"), current)?;
        given.target = Target::Named(offer.to_owned());
        return Ok(Answer::Give(given));
    }
    let spec = if text.starts_with(HOST_PREFIX) || text.starts_with(STORE_PREFIX) {
        text.to_owned()
    } else if is_path(choice) {
        format!("{HOST_PREFIX}{text}")
    } else if let Some(rest) = text.strip_prefix('~').filter(|_| choice == "~" || choice.starts_with("~/")) {
        let home = home.and_then(Path::to_str).ok_or("your home folder is not known: write the whole path")?;
        format!("{HOST_PREFIX}{}{rest}", home.replace('\\', r"\\").replace(',', r"\,"))
    } else {
        let number = if numbered(request).next().is_some() { "a number of the list, " } else { "" };
        return Err(format!("write {number}a path (host:…, /…, ./…, ../…, ~/… or storage:/…), n, or never"));
    };
    Given::parse(&spec, current).map(Answer::Give)
}

/// Whether this is meant as a path: a bare word may be a slip, and gives nothing.
fn is_path(choice: &str) -> bool {
    [".", ".."].contains(&choice) || ["/", "./", "../"].iter().any(|start| choice.starts_with(start))
}

/// A provider that takes a word of the person's own, such as `host:PATH`.
pub(crate) fn is_resolver(provider: &str) -> bool {
    RESOLVERS.into_iter().any(|(name, ..)| name == provider)
}

fn numbered(request: &Request) -> impl Iterator<Item = &str> {
    request.providers.iter().map(String::as_str).filter(|provider| !is_resolver(provider))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Object;

    fn request() -> Request {
        Request {
            id: 4,
            instance: "search".into(),
            label: "docs".into(),
            interface: "0x1".into(),
            interface_name: "Directory".into(),
            hint: "the folder to search in".into(),
            rights: Rights::READ,
            reason: "granted by the system\u{1b}[1A\n  1  host:/ (safe)".into(),
            providers: vec!["host:PATH".into(), "host:/home/ada/docs".into()],
            asked_at_ms: None,
            coalesced: 0,
        }
    }

    fn read(text: &str) -> Result<Answer, String> {
        answer(text, &request(), Path::new("/srv"), Some(Path::new("/home/ada")))
    }

    fn folder(path: &str) -> Answer {
        Answer::Give(Given::plain(Target::Host(path.into())))
    }

    #[test]
    fn the_question_marks_what_the_app_says() {
        assert_eq!(
            question(&request()),
            "\nsearch asks for a Directory, read-only, as \"docs\"\n  \
             it wants, in the app's own words: \"the folder to search in\"\n  \
             its reason, in the app's own words: \"granted by the system\\x1b[1A 1 host:/ (safe)\"\n\
             it holds nothing of this kind until you choose one:\n  \
             PATH   a folder of this machine (host:PATH)\n  \
             1      host:/home/ada/docs\n  \
             n      no\n  never  no, and do not ask again\n"
        );
        assert_eq!(cue(&request()), "docs for search? [path / number / n / never] ");
    }

    #[test]
    fn what_is_given_is_named_before_it_is_given() {
        let found = Found::Known(Object::Offer("host:/home/ada/docs".into()));
        let Ok(Answer::Give(given)) = read("1,rw") else { panic!("not given") };
        assert_eq!(
            confirmation(&request(), &found, &given, Rights::READ),
            "give search host:/home/ada/docs (read-only: it asks for no more) as \"docs\"? [y/N] "
        );
    }

    #[test]
    fn paths() {
        assert_eq!(read("/etc"), Ok(folder("/etc")));
        assert_eq!(read("./docs"), Ok(folder("/srv/docs")));
        assert_eq!(read("../docs"), Ok(folder("/srv/../docs")));
        assert_eq!(read("."), Ok(folder("/srv")));
        assert_eq!(read("./a:b"), Ok(folder("/srv/a:b")));
        assert_eq!(read("./7"), Ok(folder("/srv/7")));
        assert_eq!(read("~"), Ok(folder("/home/ada")));
        assert_eq!(read("~/docs"), Ok(folder("/home/ada/docs")));
        assert_eq!(read("host:docs"), Ok(folder("/srv/docs")));
        let Ok(Answer::Give(given)) = read("~,ro,expires=1h") else { panic!("not given") };
        assert_eq!(given.expires_in_ms, Some(3_600_000));
    }

    #[test]
    fn a_folders_name_says_nothing_beside_it() {
        let odd = "host:/srv/docs (read-only) as \"docs\"? no: x ";
        let request = Request { providers: vec![odd.into()], ..request() };
        assert!(question(&request).contains(&format!("  1      '{odd}'\n")), "{}", question(&request));
        let (found, given) = (Found::Known(Object::Offer(odd.into())), Given::plain(Target::Named(odd.into())));
        let asked = confirmation(&request, &found, &given, Rights::READ);
        assert_eq!(asked, format!("give search '{odd}' (read-only) as \"docs\"? [y/N] "));
    }

    #[test]
    fn numbers_pick_listed_offers_only() {
        let Ok(Answer::Give(given)) = read("1,calls=5") else { panic!("not given") };
        assert_eq!(given.target, Target::Named("host:/home/ada/docs".into()));
        assert_eq!(given.calls, Some(5));
        assert!(read("2").unwrap_err().contains("./2"));
        assert!(read("0").is_err());
        assert!(read("99999999999999999999999").is_err());
    }

    #[test]
    fn a_number_gives_the_very_name_that_the_node_knows() {
        let odd = "host:/srv/a\u{202e}b,c:PATH";
        let odd_request = Request { providers: vec!["host:PATH".into(), odd.into()], ..request() };
        let given = answer("1", &odd_request, Path::new("/srv"), None);
        assert_eq!(given, Ok(Answer::Give(Given::plain(Target::Named(odd.into())))));
        assert!(question(&odd_request).contains("  1      host:/srv/a\\u{202e}b,c:PATH\n"));
    }

    #[test]
    fn refusals() {
        assert_eq!(read(" n "), Ok(Answer::No));
        assert_eq!(read("NEVER"), Ok(Answer::Never));
    }

    #[test]
    fn nothing_is_granted_by_habit() {
        assert!(read("").is_err());
        assert!(read("y").is_err());
        assert!(read("./docs,everything").is_err());
        for word in ["docs", "docs,ro", "yes please", "~ada/docs", "search:docs", "#1", ",ro", "x:PATH", "1x"] {
            let said = read(word).unwrap_err();
            assert!(said.contains("a number of the list, a path (host:"), "{word}: {said}");
        }
    }

    #[test]
    fn a_folder_of_the_store_is_named_and_has_no_number() {
        let request = Request { providers: vec!["storage:/PATH".into(), "host:/kept".into()], ..request() };
        let asked = question(&request);
        assert!(asked.contains("storage:/PATH  a folder of this node's store"), "{asked}");
        assert!(asked.contains("  1      host:/kept"), "{asked}");
        let Ok(Answer::Give(given)) = answer("storage:/notes,ro", &request, Path::new("/here"), None) else {
            panic!("not read as a folder of the store")
        };
        assert_eq!((given.target, given.rights), (Target::Named("storage:/notes".into()), Some(Rights::READ)));
    }
}
