//! The results, as data for other programs, as a table, and as a picture.

use std::cmp::Ordering;
use std::io::{self, Write};
use std::path::Path;
use std::{fmt, fs, iter};

use crate::contestants::CONTESTANTS;
use crate::harness::median;

/// The contestant that the others are compared with.
const OURS: &str = "multilock";
/// The contestant that goals refer to.
const TOKIOS: &str = "tokio";

/// Contestants that are shown but are no peers, and why not.
const BOUNDS: [(&str, &str); 2] =
    [("parking_lot", "blocks the thread"), ("floor", "is the same work without a lock")];

/// The panels of the picture in their order: a title, a second line, and the beginnings of the
/// names of their rows. A beginning ends at a whole part of a name: `held/50` matches
/// `held/50/mixed` and `held/50 tasks`, but not `held/500`. After a `*` follows the end of a name.
/// A panel without rows is left out.
const PANELS: [(&str, &str, &[&str]); 16] = [
    (
        "Uncontended",
        "acquire and release",
        &["uncontended/shared/await", "uncontended/exclusive/await"],
    ),
    ("Short sections", "tasks on tokio", &["short/tokio"]),
    ("Held across an await", "50 tasks on tokio", &["held/tokio/50"]),
    ("Held across an await", "1000 tasks on tokio", &["held/tokio/1000"]),
    ("10 000 in the queue", "exclusive, one by one", &["drain/10000 exclusive"]),
    ("10 000 in the queue", "shared, all at once", &["drain/10000 shared"]),
    ("Canceled waits", "dropped in the queue", &["cancel"]),
    ("A cache", "16 tasks, 5 % exclusive", &["cache*/time"]),
    ("A pool of connections", "16 tasks, 4 connections", &["pool*/time"]),
    ("10 000 tasks", "on one lock", &["crowd/10000 tasks/1 hot lock/time"]),
    ("10 000 tasks", "on 1000 locks", &["crowd/10000 tasks/1000 cold locks/time"]),
    ("A lone reader's wait", "among writers, worst 1 %", &["lone/reader among 16 writers/p99"]),
    ("Beside busy actors", "a reader's wait, median", &["busy/reader*/p50"]),
    ("Beside busy actors", "a reader's wait, worst", &["busy/reader*/worst"]),
    ("Beside busy actors", "a writer's wait, median", &["busy/writer*/p50"]),
    ("Beside busy actors", "a writer's wait, worst", &["busy/writer*/worst"]),
];

/// One line of the table.
pub(crate) struct Row {
    /// Which table: "held across an await".
    pub(crate) workload: &'static str,
    /// "held/tokio/50 tasks/10 % exclusive".
    pub(crate) name: String,
    /// "ns", "us", "bytes", "allocations" or "polls". Less is better.
    pub(crate) unit: &'static str,
    /// The contestants that take part, ours first, in the same order in all rows: the value in each part
    /// of the time, or one value.
    pub(crate) cells: Vec<(&'static str, Vec<f64>)>,
    /// The contestants that were cut off, so that their true value may be larger.
    pub(crate) at_least: Vec<&'static str>,
    /// The goal for ours.
    pub(crate) goal: Option<Goal>,
}

/// At most this value, or this many times tokio's, whichever is more.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) value: f64,
    pub(crate) times: f64,
}

/// How a peer, or the best of them, compares with ours.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Standing {
    /// The peer has less in each part of the time.
    Behind(&'static str),
    Equal,
    /// The order differs between the parts: the spread is larger than the difference.
    Undecided,
    Ahead,
    /// No peer takes part, or ours does not.
    Alone,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind(peer) => write!(f, "{peer} is faster"),
            Self::Equal => write!(f, "equal"),
            Self::Undecided => write!(f, "undecided"),
            Self::Ahead => write!(f, "ahead"),
            Self::Alone => Ok(()),
        }
    }
}

impl Row {
    fn parts(&self, contestant: &str) -> Option<&[f64]> {
        let (_, parts) = self.cells.iter().find(|(name, _)| *name == contestant)?;
        Some(parts)
    }

    pub(crate) fn value(&self, contestant: &str) -> Option<f64> {
        median(self.parts(contestant)?.to_vec())
    }

    /// The value in relation to ours: the median over the parts.
    pub(crate) fn ratio(&self, contestant: &str) -> Option<f64> {
        self.ratios(contestant).map(|[_, median, _]| median)
    }

    /// The least, the median and the most of the values of a contestant in relation to ours in the same
    /// part.
    fn ratios(&self, contestant: &str) -> Option<[f64; 3]> {
        let parts = iter::zip(self.parts(contestant)?, self.parts(OURS)?);
        let mut ratios: Vec<_> =
            parts.map(|(value, ours)| if value == ours { 1.0 } else { value / ours }).collect();
        ratios.sort_by(f64::total_cmp);
        let known = [ratios.first()?, &median(ratios.clone())?, ratios.last()?].map(|ratio| *ratio);
        known.iter().all(|ratio| ratio.is_finite()).then_some(known)
    }

    /// How a contestant compares with ours.
    fn standing_of(&self, contestant: &'static str) -> Option<Standing> {
        let parts =
            || iter::zip(self.parts(contestant).unwrap_or(&[]), self.parts(OURS).unwrap_or(&[]));
        let is_cut_off = |contestant| self.at_least.contains(&contestant);
        parts().next()?;
        Some(if parts().all(|(value, ours)| value == ours) {
            Standing::Equal
        } else if parts().all(|(value, ours)| value < ours) && !is_cut_off(contestant) {
            Standing::Behind(contestant)
        } else if parts().all(|(value, ours)| value > ours) && !is_cut_off(OURS) {
            Standing::Ahead
        } else {
            Standing::Undecided
        })
    }

    /// How ours compares with the peers: behind if one of them is faster, and ahead if all are slower.
    /// The peer with the least ratio counts first.
    pub(crate) fn standing(&self) -> Standing {
        let mut peers: Vec<_> = self.peers().collect();
        peers.sort_by(|a, b| self.ratio(a).partial_cmp(&self.ratio(b)).unwrap_or(Ordering::Equal));
        let all = || peers.iter().filter_map(|peer| self.standing_of(peer));
        let worst = all().find(|standing| matches!(standing, Standing::Behind(_)));
        let is = |which| all().any(|standing| standing == which).then_some(which);
        let undecided = || is(Standing::Undecided);
        let rest = if all().next().is_none() { Standing::Alone } else { Standing::Ahead };
        worst.or_else(undecided).or_else(|| is(Standing::Equal)).unwrap_or(rest)
    }

    fn peers(&self) -> impl Iterator<Item = &'static str> {
        self.cells.iter().map(|(name, _)| *name).filter(|name| class(name) == "peer")
    }

    /// `~` before a ratio that is undecided.
    pub(crate) fn sign(&self, contestant: &'static str) -> &'static str {
        if self.standing_of(contestant) == Some(Standing::Undecided) { "~" } else { "" }
    }

    /// The mark before a value that may be larger, as its contestant was cut off.
    pub(crate) fn mark(&self, contestant: &str) -> &'static str {
        if self.at_least.contains(&contestant) { ">" } else { "" }
    }

    /// How ours compares with tokio's, and whether it meets the goal.
    pub(crate) fn verdict(&self) -> Option<String> {
        let (goal, ours, tokios) = (self.goal?, self.value(OURS)?, self.value(TOKIOS)?);
        let bound = quantity(goal.value.max(goal.times * tokios), self.unit);
        let (mark, ratio) = (self.mark(OURS), ours / tokios);
        let digits = if ratio < 100.0 { 2 } else { 0 };
        let verdict = if self.misses_goal() { "MISSED" } else { "met" };
        Some(format!("{mark}x{ratio:.digits$} of tokio's, at most {bound}: {verdict}"))
    }

    fn wanted(&self) -> Option<String> {
        let Goal { value, times } = self.goal?;
        let (_, part) = self.name.rsplit_once('/')?;
        let value = quantity(value, self.unit);
        Some(format!("{part} at most {value} or {times} times {TOKIOS}'s"))
    }

    fn misses_goal(&self) -> bool {
        self.goal.zip(self.value(OURS)).is_some_and(|(goal, ours)| {
            let times = self.value(TOKIOS).map_or(0.0, |tokios| goal.times * tokios);
            ours > goal.value.max(times) || self.at_least.contains(&OURS)
        })
    }

    /// The peer that counts: the one that is faster than ours, or the one with the least value.
    fn best(&self) -> Option<&'static str> {
        if let Standing::Behind(peer) = self.standing() {
            return Some(peer);
        }
        let values = self.peers().filter_map(|name| Some((name, self.value(name)?)));
        values.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(name, _)| name)
    }

    /// The ratio of the best peer, with its spread, and what it means.
    fn best_cell(&self) -> String {
        let ratios = self.best().and_then(|best| self.ratios(best));
        let ratios = ratios.map_or("–".into(), spread);
        match self.standing() {
            Standing::Behind(peer) => format!("**{peer}** {ratios}"),
            Standing::Undecided => format!("~ {ratios}"),
            Standing::Equal | Standing::Ahead | Standing::Alone => ratios,
        }
    }

    fn is_time(&self) -> bool {
        matches!(self.unit, "ns" | "us")
    }

    /// Whether the row is a time, and its name matches one of the patterns.
    fn is_in(&self, patterns: &[&str]) -> bool {
        let fits = |pattern: &&str| {
            let (prefix, suffix) = pattern.split_once('*').unwrap_or((pattern, ""));
            let rest = self.name.strip_prefix(prefix);
            rest.is_some_and(|rest| {
                !rest.starts_with(char::is_alphanumeric) && rest.ends_with(suffix)
            })
        };
        self.is_time()
            && self.value(OURS).is_some_and(|ours| ours > 0.0)
            && patterns.iter().any(fits)
    }
}

/// What was measured, and on which machine.
pub(crate) struct About {
    pub(crate) date: String,
    pub(crate) machine: String,
    /// How many cores there are, and how many there really were.
    pub(crate) cores: String,
    pub(crate) system: String,
    pub(crate) rustc: String,
    pub(crate) versions: Vec<(&'static str, String)>,
    /// The rounds are too few to rely on the numbers.
    pub(crate) quick: bool,
    pub(crate) rounds: String,
}

impl About {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            ("date", self.date.clone()),
            ("machine", self.machine()),
            ("system", self.system.clone()),
            ("rustc", self.rustc.clone()),
            ("versions", self.versions()),
            ("rounds", self.rounds.clone()),
        ];
        if self.quick {
            lines.push(("quick", "rough numbers".into()));
        }
        lines.into_iter().map(|(name, text)| (name, text.replace('\n', " "))).collect()
    }

    fn machine(&self) -> String {
        format!("{}, {}", self.machine, self.cores)
    }

    fn versions(&self) -> String {
        let versions = self.versions.iter().map(|(name, version)| format!("{name} {version}"));
        versions.collect::<Vec<_>>().join(", ")
    }
}

/// Writes `data.csv`, `table.md` and `chart.svg`.
pub(crate) fn write(dir: &Path, about: &About, rows: &[Row]) -> io::Result<()> {
    let (mut data, mut table, mut chart) = (Vec::new(), Vec::new(), Vec::new());
    write_data(&mut data, about, rows)?;
    write_table(&mut table, about, rows)?;
    write_chart(&mut chart, about, rows)?;
    fs::create_dir_all(dir)?;
    fs::write(dir.join("data.csv"), data)?;
    fs::write(dir.join("table.md"), table)?;
    fs::write(dir.join("chart.svg"), chart)
}

pub(crate) fn write_data(out: &mut impl Write, about: &About, rows: &[Row]) -> io::Result<()> {
    for (name, text) in about.lines() {
        writeln!(out, "# {name}: {text}")?;
    }
    for row in rows.iter().filter(|row| !row.at_least.is_empty()) {
        writeln!(out, "# cut off, so that or more: {}: {}", row.name, row.at_least.join(", "))?;
    }
    writeln!(out, "workload,name,unit,contestant,value,least,most")?;
    let field = |text: &str| match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_string(),
    };
    for row in rows {
        let (workload, name, unit) = (field(row.workload), field(&row.name), row.unit);
        for (contestant, parts) in &row.cells {
            let least = parts.iter().copied().fold(f64::INFINITY, f64::min);
            let most = parts.iter().copied().fold(0.0, f64::max);
            let value = row.value(contestant).unwrap_or_default();
            writeln!(out, "{workload},{name},{unit},{contestant},{value},{least},{most}")?;
        }
    }
    Ok(())
}

fn write_table(out: &mut impl Write, about: &About, rows: &[Row]) -> io::Result<()> {
    writeln!(out, "# The lock beside its peers\n")?;
    for (name, text) in about.lines() {
        writeln!(out, "* {name}: {}", escaped(&text))?;
    }
    let bounds = BOUNDS.map(|(name, why)| format!("`{name}` {why}")).join(", ");
    writeln!(
        out,
        "
A cell is the value in relation to ours, and the value. Less is better. The best peer is **bold**.
Bounds, not peers: {bounds}. A dash is what a lock does not have. `>` marks waits that were cut off:
it is that or more.

All contestants of a row take turns, so that other load affects all of them. The time of a row has
parts. A ratio is taken in each part: the table shows the median of these, and the least and the most
for the best peer. A row is decided if all parts agree which contestant is faster. `~` marks what is
undecided: the spread is larger than the difference. Waits of less than 0.05 us are not told apart."
    )?;
    write_standings(out, rows)?;
    let mut workloads = Vec::new();
    for row in rows {
        if !workloads.contains(&row.workload) {
            workloads.push(row.workload);
        }
    }
    for workload in workloads {
        let rows: Vec<_> = rows.iter().filter(|row| row.workload == workload).collect();
        let columns = contestants(&rows);
        writeln!(out, "\n## {workload}\n\n| | {} | best peer / ours |", columns.join(" | "))?;
        writeln!(out, "|---|{}---:|", "---:|".repeat(columns.len()))?;
        for row in &rows {
            let cells: Vec<_> = columns.iter().map(|column| cell(row, column)).collect();
            let best = row.best_cell();
            writeln!(out, "| {} | {} | {best} |", escaped(&row.name), cells.join(" | "))?;
        }
        write_goals(out, &rows)?;
    }
    Ok(())
}

/// The rows in which a peer is faster, with the worst first, and how many rows there are of each kind.
fn write_standings(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let behind = behind(rows);
    let count = |standing| rows.iter().filter(|row| row.standing() == standing).count();
    let [undecided, equal, ahead, alone] =
        [Standing::Undecided, Standing::Equal, Standing::Ahead, Standing::Alone].map(count);
    writeln!(out, "\n## Where a peer is faster, or needs less\n")?;
    writeln!(
        out,
        "Of {} rows with peers, a peer is ahead in {}, and `{OURS}` in {ahead}. The best is equal in {equal}, and \
         {undecided} are undecided.",
        rows.len() - alone,
        behind.len()
    )?;
    if behind.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| | {OURS} | fastest peer | peer | peer / ours |\n|---|---:|---|---:|---:|")?;
    for (row, peer, ratios) in behind {
        let [ours, value] = [OURS, peer].map(|name| cell_value(row, name));
        let name = escaped(&row.name);
        writeln!(out, "| {name} | {ours} | {peer} | {value} | {} |", spread(ratios))?;
    }
    Ok(())
}

fn spread([least, ratio, most]: [f64; 3]) -> String {
    match least == most {
        true => format!("x{ratio:.2}"),
        false => format!("x{ratio:.2} ({least:.2} to {most:.2})"),
    }
}

/// The rows in which a peer is faster, the peer, and the least, the median and the most of its ratios.
fn behind(rows: &[Row]) -> Vec<(&Row, &'static str, [f64; 3])> {
    let behind = |row: &'_ Row| match row.standing() {
        Standing::Behind(peer) => Some((peer, row.ratios(peer)?)),
        _ => None,
    };
    let mut behind: Vec<_> = rows
        .iter()
        .filter_map(|row| behind(row).map(|(peer, ratios)| (row, peer, ratios)))
        .collect();
    behind.sort_by(|a, b| a.2[1].total_cmp(&b.2[1]));
    behind
}

/// The goals for ours in these rows, and the rows that miss them.
fn write_goals(out: &mut impl Write, rows: &[&Row]) -> io::Result<()> {
    let goals: Vec<_> = rows.iter().filter(|row| row.goal.is_some()).collect();
    if goals.is_empty() {
        return Ok(());
    }
    let mut wanted: Vec<_> = goals.iter().filter_map(|row| row.wanted()).collect();
    wanted.sort();
    wanted.dedup();
    let missed: Vec<_> = goals.iter().filter(|row| row.misses_goal()).collect();
    writeln!(out, "\nGoals for `{OURS}`, whichever is more: {}.", wanted.join("; "))?;
    writeln!(out, "It misses {} of {}.", missed.len(), goals.len())?;
    for row in missed {
        writeln!(out, "* {}: {}", escaped(&row.name), row.verdict().unwrap_or_default())?;
    }
    Ok(())
}

fn cell(row: &Row, contestant: &'static str) -> String {
    let mut text = cell_value(row, contestant);
    if let Some(ratio) = row.ratio(contestant).filter(|_| contestant != OURS) {
        text = format!("{}x{ratio:.2} ({text})", row.sign(contestant));
    }
    if row.best() == Some(contestant) {
        text = format!("**{text}**");
    }
    text
}

fn cell_value(row: &Row, contestant: &str) -> String {
    let value = row.value(contestant).map(|value| quantity(value, row.unit));
    value.map_or("–".into(), |value| row.mark(contestant).to_owned() + &value)
}

/// Three digits, and times in a suitable unit.
fn quantity(mut value: f64, mut unit: &str) -> String {
    for (small, large) in [("ns", "us"), ("us", "ms"), ("ms", "s")] {
        if unit == small && value >= 999.5 {
            (value, unit) = (value / 1000.0, large);
        }
    }
    let digits = match value {
        _ if value.fract() == 0.0 || value >= 99.95 => 0,
        _ if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

fn class(contestant: &str) -> &'static str {
    match contestant {
        OURS => "ours",
        _ if BOUNDS.iter().any(|(name, _)| *name == contestant) => "bound",
        _ => "peer",
    }
}

/// The contestants that have a value in one of the rows.
fn contestants(rows: &[&Row]) -> Vec<&'static str> {
    let mut names = CONTESTANTS.to_vec();
    names.retain(|name| rows.iter().any(|row| row.value(name).is_some()));
    names
}

/// The geometric mean of the contestant's values in relation to ours, if it has all of the rows.
fn mean(rows: &[&Row], contestant: &str) -> Option<f64> {
    let ratios = rows.iter().map(|row| row.ratio(contestant).map(f64::ln));
    Some((ratios.sum::<Option<f64>>()? / rows.len() as f64).exp())
}

/// The title of the picture.
const TITLE: &str = "Time per operation, relative to multilock: shorter is faster";

/// The layout, in pixels.
const WIDTH: usize = 840;
const MARGIN: usize = 20;
const TOP: usize = 52;
const NAMES: usize = 92;
const HEADING: usize = 42;
const STEP: usize = 18;
const BAR: usize = 12;
/// The width of the number at the end of a bar.
const NUMBER: usize = 48;
/// In the list of rows in which a peer is faster: the width of their names, of a bar of our length, and
/// how many rows there are.
const LIST: usize = 340;
const ONE: f64 = 220.0;
const SHOWN: usize = 16;
/// Longer bars are cut.
const LONGEST: f64 = 4.0;

/// With a background of its own: a site may be dark where the system is light.
const STYLE: &str = "
text { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
.page { fill: #ffffff; stroke: #d1d9e0 }
.title { font-size: 17px; font-weight: 600 }
.panel { font-size: 13px; font-weight: 600 }
.note { font-size: 11px }
.name { text-anchor: end }
.note, text.bound { fill: #59636e }
.ours { font-weight: 700; fill: #0969da }
rect.peer { fill: #afb8c1 }
rect.bound { fill: none; stroke: #afb8c1 }
.cut { fill: none; stroke: #ffffff; stroke-width: 2.5px }
.one { stroke: #0969da }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc }
.page { fill: #0d1117; stroke: #3d444d }
.note, text.bound { fill: #9198a1 }
.ours { fill: #4493f8 }
rect.peer { fill: #656c76 }
rect.bound { stroke: #656c76 }
.cut { stroke: #0d1117 }
.one { stroke: #4493f8 }
}
";

fn write_chart(out: &mut impl Write, about: &About, all: &[Row]) -> io::Result<()> {
    let panels = PANELS.iter().map(|(title, detail, prefixes)| {
        (title, detail, all.iter().filter(|row| row.is_in(prefixes)).collect::<Vec<_>>())
    });
    let panels: Vec<_> = panels.filter(|(_, _, rows)| !rows.is_empty()).collect();
    let rows: Vec<_> = panels.iter().flat_map(|(_, _, rows)| rows).copied().collect();
    let names = contestants(&rows);
    let notes = notes(about, &names);

    let mut behind = behind(all);
    behind.retain(|(row, ..)| row.is_time());
    let shown = behind.len().min(SHOWN);

    let columns = panels.len().div_ceil(2).clamp(2, 4);
    let width = (WIDTH - 2 * MARGIN - NAMES) / columns;
    let unit = (width - NUMBER) as f64 / LONGEST;
    let height = HEADING + names.len() * STEP + 14;
    let list = TOP + panels.len().div_ceil(columns) * height;
    let below = list + HEADING + shown * STEP + 14;
    let end = below + notes.len() * 16 + 6;
    let (w, h) = (WIDTH - 1, end - 1);
    writeln!(out, r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{end}""#)?;
    writeln!(out, r#"viewBox="0 0 {WIDTH} {end}" role="img"><title>{TITLE}</title>"#)?;
    writeln!(out, "<style>{STYLE}</style>")?;
    writeln!(out, r#"<rect class="page" x="0.5" y="0.5" width="{w}" height="{h}" rx="6"/>"#)?;
    write_text(out, "title", (MARGIN, 33), TITLE)?;
    for (place, (title, detail, rows)) in panels.iter().enumerate() {
        let x = MARGIN + NAMES + place % columns * width;
        let y = TOP + place / columns * height;
        write_text(out, "panel", (x, y + 16), title)?;
        write_text(out, "note", (x, y + 31), detail)?;
        let y = y + HEADING;
        for (name, y) in iter::zip(&names, (y..).step_by(STEP)) {
            if place % columns == 0 {
                write_text(out, &format!("name {}", class(name)), (x - 8, y + 10), name)?;
            }
            match mean(rows, name) {
                Some(ratio) => write_bar(out, class(name), (x, y), unit, ratio)?,
                None => write_text(out, "note", (x + 4, y + 10), "–")?,
            }
        }
        let (x, end) = (x as f64 + unit, y + names.len() * STEP - (STEP - BAR) + 3);
        writeln!(out, r#"<path class="one" d="M{x:.1} {}V{end}"/>"#, y - 3)?;
    }
    let times = all.iter().filter(|row| row.is_time()).count();
    write_text(out, "panel", (MARGIN + LIST, list + 16), "Where a peer is faster")?;
    let (count, more) = (behind.len(), behind.len() - shown);
    let detail = match more {
        0 => format!("in {count} of {times} rows with times"),
        _ => format!("in {count} of {times} rows with times: {shown} here, all in table.md"),
    };
    write_text(out, "note", (MARGIN + LIST, list + 31), &detail)?;
    let lines = iter::zip(behind, (list + HEADING..).step_by(STEP));
    for ((row, peer, [_, ratio, _]), y) in lines.take(shown) {
        let x = MARGIN + LIST;
        write_text(out, "name", (x - 8, y + 10), &row.name)?;
        write_bar(out, "peer", (x, y), ONE, ratio)?;
        write_text(out, "note", (x + ONE as usize + NUMBER, y + 10), peer)?;
    }
    for (note, y) in iter::zip(&notes, (below + 8..).step_by(16)) {
        write_text(out, "note", (MARGIN, y), note)?;
    }
    writeln!(out, "</svg>")
}

type At = (usize, usize);

/// A bar and its number, which is to the right of the line at 1. A bar that is cut has a gap.
fn write_bar(out: &mut impl Write, class: &str, at: At, unit: f64, ratio: f64) -> io::Result<()> {
    let digits = match ratio {
        _ if ratio >= 9.95 => 0,
        _ if ratio >= 0.995 => 1,
        _ => 2,
    };
    let (x, y) = at;
    let length = (ratio.min(LONGEST) * unit).max(1.0);
    write!(out, r#"<rect class="{class}" x="{x}" y="{y}" "#)?;
    writeln!(out, r#"width="{length:.1}" height="{BAR}"/>"#)?;
    if ratio > LONGEST {
        let (x, y) = (x as f64 + length - 16.0, y + BAR + 2);
        writeln!(out, r#"<path class="cut" d="M{x:.1} {y}l5 -16m5 0l-5 16"/>"#)?;
    }
    let end = x + length.max(unit) as usize + 6;
    write_text(out, class, (end, y + 10), &format!("{ratio:.digits$}x"))
}

fn write_text(out: &mut impl Write, class: &str, (x, y): At, text: &str) -> io::Result<()> {
    writeln!(out, r#"<text class="{class}" x="{x}" y="{y}">{}</text>"#, escaped(text))
}

/// Escapes what has a meaning in XML or in a table of Markdown.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('|', "&#124;");
    text.replace(char::is_control, " ")
}

/// Lines that fit into the picture, from a list with commas.
fn wrapped(list: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for item in list.split_inclusive(", ") {
        let line = lines.last_mut().expect("there is a line");
        match line.len() + item.len() > 110 {
            true => lines.push(item.to_owned()),
            false => line.push_str(item),
        }
    }
    lines
}

/// The notes below the panels.
fn notes(about: &About, names: &[&str]) -> Vec<String> {
    let quick = if about.quick { ", a quick run: rough numbers" } else { "" };
    let mut notes = wrapped(&format!("{}, {}{quick}", about.date, about.machine()));
    notes.extend(wrapped(&about.versions()));
    let shown = BOUNDS.iter().filter(|(name, _)| names.contains(name));
    let bounds: Vec<_> = shown.map(|(name, why)| format!("{name} {why}")).collect();
    if !bounds.is_empty() {
        notes.insert(0, format!("Outlined are bounds, not peers: {}.", bounds.join(", ")));
    }
    notes
}
