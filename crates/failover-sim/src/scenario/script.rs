//! Lines into steps. Every form of a scenario is read at once, so that a mistake is found before anything is played. Read
//! next: `play.rs`.

use howdah_failover::{Method, OnLastNode, SyncNames};

use super::act::{self, Act};
use super::condition::{self, Condition};
use super::words::{Read, ScriptError, Words, Wrong};

/// Seeds under which each form is played, unless the scenario says otherwise.
const SEEDS: u64 = 2;

/// Lines of a scenario with their numbers.
type Lines = Vec<(usize, Words)>;

/// One scenario.
#[derive(Debug, Clone)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// The comment lines at its beginning, as one sentence.
    pub about: String,
    /// The file.
    pub file: String,
    /// Seeds under which each form is played.
    pub seeds: u64,
    /// The world.
    pub world: WorldSpec,
    /// One for each combination of the words of its `each` lines.
    pub forms: Vec<Form>,
}

/// One form of a scenario.
#[derive(Debug, Clone)]
pub struct Form {
    /// What stands for the words of the `each` lines.
    pub words: String,
    /// The steps, with their lines.
    pub steps: Vec<(usize, Step)>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The world runs until this moment, microseconds.
    At(u64),
    /// Something happens.
    Do(Act),
    /// This comes to be within so long.
    Expect(Condition, u64),
    /// This is so for so long.
    Keep(Condition, u64),
}

/// The world of a scenario.
#[derive(Debug, Clone)]
pub struct WorldSpec {
    /// Nodes.
    pub nodes: usize,
    /// Poolers.
    pub poolers: usize,
    /// The list of names with which the cluster was set up.
    pub names: SyncNames,
    /// What happens to commits when no standby is left.
    pub on_last_node: OnLastNode,
    /// Nodes that are never promoted.
    pub nofailover: Vec<usize>,
    /// Nodes with another priority than the rest, and which.
    pub priority: Vec<(usize, u32)>,
    /// Nodes without a supervisor.
    pub unsupervised: Vec<usize>,
    /// Failovers in an hour, at most; 0: no limit.
    pub limit: u32,
    /// Standbys use replication slots.
    pub slots: bool,
    /// The cluster may be halted at the end.
    pub may_halt: bool,
    /// Acknowledged writes may be lost: someone promotes by hand beside Howdah.
    pub may_lose: bool,
}

impl Default for WorldSpec {
    fn default() -> WorldSpec {
        WorldSpec {
            nodes: 3,
            poolers: 1,
            names: SyncNames { method: Method::First, k: 1, names: vec!["*".to_owned()] },
            on_last_node: OnLastNode::Block,
            nofailover: Vec::new(),
            priority: Vec::new(),
            unsupervised: Vec::new(),
            limit: 0,
            slots: false,
            may_halt: false,
            may_lose: false,
        }
    }
}

/// The scenarios of a file.
///
/// # Errors
/// The first mistake, with its line and column.
pub fn parse(file: &str, text: &str) -> Result<Vec<Script>, ScriptError> {
    let mut scripts = Vec::new();
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).peekable();
    while let Some((number, line)) = lines.next() {
        let mut words = Words::of(line);
        if words.is_empty() {
            continue;
        }
        let name = header(&mut words).map_err(|wrong| at_line(file, number, wrong))?;
        let mut about = Vec::new();
        let mut body: Lines = Vec::new();
        while let Some((number, line)) = lines.next_if(|(_, line)| !line.starts_with("scenario")) {
            let words = Words::of(line);
            match line.trim().strip_prefix('#') {
                Some(comment) if body.is_empty() => about.push(comment.trim().to_owned()),
                _ if words.is_empty() => {}
                _ => body.push((number, words)),
            }
        }
        let wrong = |(number, wrong)| at_line(file, number, wrong);
        scripts
            .push(script(file, name, body).map_err(wrong).map(|s| Script { about: about.join(" "), ..s })?);
    }
    Ok(scripts)
}

fn at_line(file: &str, line: usize, wrong: Wrong) -> ScriptError {
    ScriptError { file: file.to_owned(), line, column: wrong.column, what: wrong.what }
}

fn header(words: &mut Words) -> Read<String> {
    if !words.take("scenario") {
        let column = words.word("a word")?.column;
        return Err(Wrong { column, what: "a line `scenario NAME` must come first".to_owned() });
    }
    let name = words.word("the name of the scenario")?.text;
    words.end()?;
    Ok(name)
}

fn script(file: &str, name: String, body: Lines) -> Result<Script, (usize, Wrong)> {
    let mut world = WorldSpec::default();
    let mut seeds = SEEDS;
    let mut puts: Vec<Vec<(String, String)>> = vec![Vec::new()];
    let mut plot: Lines = Vec::new();
    for (number, mut words) in body {
        let on = |wrong| (number, wrong);
        if words.take("each") {
            let each = each(&mut words).map_err(on)?;
            puts =
                puts.iter().flat_map(|p| each.iter().map(move |e| [p.clone(), e.clone()].concat())).collect();
        } else if words.take("seeds") {
            seeds = words.number().map_err(on)?;
        } else if !plot.is_empty() || !setting(&mut world, &mut words).map_err(on)? {
            plot.push((number, words));
        }
    }
    let mut forms = Vec::new();
    for put in puts {
        let mut steps = Vec::new();
        for (number, words) in &plot {
            read_steps(&mut steps, *number, &mut words.with(&put)).map_err(|wrong| (*number, wrong))?;
        }
        let words: Vec<String> = put.iter().map(|(name, text)| format!("{name}={text}")).collect();
        forms.push(Form { words: words.join(" "), steps });
    }
    Ok(Script { name, about: String::new(), file: file.to_owned(), seeds, world, forms })
}

/// `each $x in a b c`, `each $x $y in a b c d` (two words at a time), or `each order $a $b of n0 n1`.
fn each(words: &mut Words) -> Read<Vec<Vec<(String, String)>>> {
    let order = words.take("order");
    let between = if order { "of" } else { "in" };
    let mut names = Vec::new();
    while !words.take(between) {
        names.push(words.word(&format!("`{between}`"))?.text);
    }
    let column = words.clone().word("a word to be put")?.column;
    let texts: Vec<String> = words.rest().into_iter().map(|w| w.text).collect();
    if names.is_empty() || !texts.len().is_multiple_of(names.len()) {
        let what = format!("{} words cannot be put for {} names", texts.len(), names.len());
        return Err(Wrong { column, what });
    }
    let put = |texts: Vec<String>| names.iter().cloned().zip(texts).collect();
    if order {
        return Ok(orders(&texts).into_iter().map(put).collect());
    }
    Ok(texts.chunks(names.len()).map(|texts| put(texts.to_vec())).collect())
}

/// All orders of some words.
fn orders(words: &[String]) -> Vec<Vec<String>> {
    if words.is_empty() {
        return vec![Vec::new()];
    }
    let first = |at: usize| {
        let mut rest = words.to_vec();
        let first = rest.remove(at);
        orders(&rest).into_iter().map(move |order| [vec![first.clone()], order].concat())
    };
    (0..words.len()).flat_map(first).collect()
}

fn expect_word(words: &mut Words, text: &str) -> Read<()> {
    let word = words.word(&format!("`{text}`"))?;
    let wrong =
        || Wrong { column: word.column, what: format!("`{text}` must stand here, not {:?}", word.text) };
    (word.text == text).then_some(()).ok_or_else(wrong)
}

/// Takes a line that sets up the world; whether it is one.
fn setting(world: &mut WorldSpec, words: &mut Words) -> Read<bool> {
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let Some(first) = words.peek().map(str::to_owned) else { return Ok(false) };
    let mut rest = words.clone();
    rest.take(&first);
    match first.as_str() {
        "nodes" => world.nodes = count(rest.number()?),
        "poolers" => world.poolers = count(rest.number()?),
        "nofailover" => world.nofailover.push(rest.node()?),
        "priority" => {
            let node = rest.node()?;
            world.priority.push((node, u32::try_from(rest.number()?).unwrap_or(u32::MAX)));
        }
        "unsupervised" => world.unsupervised.push(rest.node()?),
        "limit" => world.limit = u32::try_from(rest.number()?).unwrap_or(u32::MAX),
        "slots" => world.slots = true,
        "degrade" => world.on_last_node = OnLastNode::Degrade,
        "may" => {
            let lose = rest.take("lose");
            world.may_lose |= lose;
            world.may_halt |= !lose;
            if !lose {
                expect_word(&mut rest, "halt")?;
            }
        }
        "names" => {
            let column = rest.clone().word("a list like FIRST 1 (*), or async")?.column;
            let text: Vec<String> = rest.rest().into_iter().map(|w| w.text).collect();
            let text = text.join(" ");
            let list = if text == "async" { Ok(SyncNames::none()) } else { text.parse() };
            world.names = list.map_err(|error| Wrong { column, what: format!("{error}") })?;
        }
        _ => return Ok(false),
    }
    rest.end()?;
    Ok(true)
}

/// The steps of one line: `at TIME` may stand before another.
fn read_steps(steps: &mut Vec<(usize, Step)>, number: usize, words: &mut Words) -> Read<()> {
    if words.take("at") {
        steps.push((number, Step::At(words.time()?)));
        if words.is_empty() {
            return Ok(());
        }
    }
    let step = if words.take("expect") {
        let condition = condition::read(words)?;
        let within = if words.take("within") { words.time()? } else { 0 };
        Step::Expect(condition, within)
    } else if words.take("keep") {
        let condition = condition::read(words)?;
        expect_word(words, "for")?;
        Step::Keep(condition, words.time()?)
    } else {
        Step::Do(act::read(words)?)
    };
    words.end()?;
    steps.push((number, step));
    Ok(())
}
