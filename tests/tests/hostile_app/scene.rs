//! A node on which an innocent app lives beside hostile ones.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tests::node::Node;

/// Whoever is not answered within this was not answered at all: a test that fails, instead of one that hangs.
const WATCHDOG: Duration = Duration::from_secs(120);

/// What is in the file that the neighbour reads.
const TEXT: &str = "the right answer";

/// A node, a folder, and a neighbour who holds it. One for all tests that run at the same time: then each of them is a
/// neighbour of the others as well.
pub(crate) struct Scene {
    neighbour: Mutex<Neighbour>,
    pub(crate) node: Node,
    /// The powerbox and the folder's service, as they were at first.
    first: Vec<(String, u64)>,
}

impl Scene {
    pub(crate) fn get() -> Arc<Scene> {
        static SHARED: Mutex<Weak<Scene>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let scene = Arc::new(Scene::start());
            *shared = Arc::downgrade(&scene);
            scene
        })
    }

    fn start() -> Scene {
        let node = Node::start();
        let folder = folder(&node);
        std::fs::create_dir_all(&folder).expect("room for a folder");
        std::fs::write(folder.join("a.txt"), TEXT).expect("room for a file");
        std::fs::write(folder.join("large.txt"), vec![b'x'; 2 << 20]).expect("room for a file");
        for app in ["hostile", "probe"] {
            node.expect(["install".as_ref(), tests::package(app).as_os_str(), "--trust".as_ref()]);
        }
        let mut neighbour = Neighbour::start(&node);
        neighbour.is_served();
        let mut scene = Scene { node, neighbour: Mutex::new(neighbour), first: Vec::new() };
        scene.first = scene.processes();
        assert_eq!(scene.first.len(), 2, "a powerbox and a folder's service: {:?}", scene.first);
        scene
    }

    pub(crate) fn offer(&self) -> String {
        format!("host:{}", folder(&self.node).display())
    }

    /// The words that give the folder to a run, read-only.
    pub(crate) fn preset(&self) -> [String; 2] {
        ["--grant".to_owned(), format!("folder={},ro", self.offer())]
    }

    /// Everything that an innocent one does from now on is done, and nothing of the node has died.
    #[track_caller]
    pub(crate) fn all_is_well(&self) {
        self.neighbour.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_served();
        let listed = self.node.expect(["ls", &self.offer()]);
        assert!(listed.contains("a.txt"), "an operator is not served: {listed}");
        assert_eq!(self.processes(), self.first, "something of the node was started again");
    }

    /// The processes that the neighbour uses, by name and number.
    fn processes(&self) -> Vec<(String, u64)> {
        let status = self.node.json(["status"]);
        assert_eq!(status["state"], "ready", "{status}");
        let processes = status["processes"].as_array().expect("processes are listed").iter();
        let offer = self.offer();
        let shared = processes.filter(|process| process["image"] == "powerbox" || process["name"] == offer.as_str());
        let named = shared.map(|process| {
            (process["name"].as_str().unwrap_or_default().to_owned(), process["pid"].as_u64().unwrap_or_default())
        });
        named.collect()
    }

    /// Starts the hostile app as that instance; it has begun to misbehave when this returns.
    #[track_caller]
    pub(crate) fn attack(&self, instance: &str, options: &[String], words: &[&str]) -> Attack {
        let mut attack = self.start_attack(instance, options, words);
        attack.hear("begun");
        attack
    }

    pub(crate) fn start_attack(&self, instance: &str, options: &[String], words: &[&str]) -> Attack {
        let named = ["run", "hostile", "--name", instance].map(str::to_owned);
        let words = words.iter().map(|word| (*word).to_owned());
        let all = named.into_iter().chain(options.iter().cloned()).chain(["--".to_owned()]).chain(words);
        let mut child = self.node.spawn(all);
        let output = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        Attack { instance: instance.to_owned(), child, output }
    }

    /// The record that names both, as soon as there is one.
    #[track_caller]
    pub(crate) fn recorded(&self, instance: &str, reason: &str) -> String {
        let mut follow = self.node.spawn(["log", "--follow"]);
        let lines = lines(BufReader::new(follow.stdout.take().expect("its output is a pipe")));
        let named = |line: &String| line.split_whitespace().any(|word| word == instance) && line.contains(reason);
        let found = loop {
            match lines.recv_timeout(WATCHDOG) {
                Ok(line) if named(&line) => break line,
                Ok(_) => {}
                Err(_) => panic!("the log does not say of {instance}: {reason}\n{}", self.node.expect(["log"])),
            }
        };
        follow.kill().expect("it runs");
        follow.wait().expect("it can be waited for");
        found
    }

    /// The row of `latch ps --all` about an instance.
    pub(crate) fn instance(&self, name: &str) -> serde_json::Value {
        let rows = self.node.json(["ps", "--all"]);
        rows.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name).cloned()).unwrap_or_default()
    }
}

fn folder(node: &Node) -> PathBuf {
    node.scratch().join("shared")
}

/// A run of the hostile app.
pub(crate) struct Attack {
    pub(crate) instance: String,
    child: Child,
    pub(crate) output: BufReader<ChildStdout>,
}

impl Attack {
    #[track_caller]
    pub(crate) fn hear(&mut self, word: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output can be read");
        if line.trim_end() != word {
            let mut told = String::new();
            let _ = self.child.stderr.take().map(|mut error| error.read_to_string(&mut told));
            panic!("{} said {line:?} instead of {word:?}: {told}", self.instance);
        }
    }

    /// Ends the shell that runs it, which has no time to say anything.
    pub(crate) fn kill_shell(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it can be waited for");
    }

    /// Waits until it has ended: its code, what it still printed, and what `latch` said.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("its output can be read");
        let ended = self.child.wait_with_output().expect("it ends");
        (ended.status.code(), rest, String::from_utf8_lossy(&ended.stderr).into_owned())
    }
}

/// The innocent app.
struct Neighbour {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
    calls: u64,
}

impl Neighbour {
    fn start(node: &Node) -> Self {
        let offer = format!("folder=host:{},ro", folder(node).display());
        let mut command = node.latch(["run", "probe", "--name", "neighbour", "--grant", &offer, "--", "neighbour"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("latch runs");
        let answers = lines(BufReader::new(child.stdout.take().expect("its output is a pipe")));
        Self { input: child.stdin.take(), child, answers, calls: 0 }
    }

    /// Its calls of the powerbox and of the folder, begun now, are answered rightly.
    #[track_caller]
    fn is_served(&mut self) {
        self.calls += 1;
        let input = self.input.as_mut().expect("it runs");
        writeln!(input, "call {}", self.calls).expect("it reads its input");
        let answer = self.answers.recv_timeout(WATCHDOG).expect("the neighbour is answered");
        assert_eq!(answer, format!("call {}: folder {TEXT}", self.calls));
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // The end of its input is its end.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// Lines as they come.
pub(crate) fn lines(from: impl BufRead + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || from.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}
