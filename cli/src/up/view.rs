//! What `sluice up` shows, as a value: a tree of sources, Kustomizations and their objects. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

/// How an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As described, and healthy.
    Ready,
    /// Being worked on.
    Working,
    /// Nothing can be done until something else happens.
    Waiting,
    /// It failed; the message says why.
    Failed,
    /// Its owner put it on hold.
    Suspended,
}

impl State {
    /// One character for a terminal. Colour only repeats what it says.
    fn mark(self) -> &'static str {
        match self {
            Self::Ready => "✔",
            Self::Working => "►",
            Self::Waiting => "◎",
            Self::Failed => "✗",
            Self::Suspended => "⏸",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Working => "working",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Suspended => "suspended",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Ready => "\x1b[32m",
            Self::Working => "\x1b[36m",
            Self::Waiting => "\x1b[33m",
            Self::Failed => "\x1b[31m",
            Self::Suspended => "\x1b[90m",
        }
    }
}

/// One line of the tree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Node {
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Name.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What its controller says about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What it waits for, if it waits.
    #[serde(rename = "waitingFor", skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Revision that it is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Since when it is in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What belongs to it.
    #[serde(skip)]
    pub children: Vec<Node>,
}

impl Node {
    fn title(&self) -> String {
        if self.namespace.is_empty() {
            format!("{}/{}", self.kind, self.name)
        } else {
            format!("{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }

    fn says(&self, now: Timestamp) -> String {
        let mut text = self.state.word().to_owned();
        if let Some(waits_for) = &self.waits_for {
            let _ = write!(text, " for {waits_for}");
        }
        if self.state != State::Ready
            && let Some(since) = self.since
        {
            let _ = write!(text, ", {}", age(since, now));
        }
        let first = self.message.lines().next().unwrap_or_default();
        if !first.is_empty() && self.waits_for.is_none() {
            let _ = write!(text, ": {first}");
        }
        text
    }
}

/// `3s`, `2m`, `5h`: how long ago.
fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(since).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

/// Whether the tree is drawn with colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Text only.
    Plain,
    /// ANSI colours.
    Colour,
}

/// Draws the whole tree for a screen of this size. Objects that are ready are folded into a count
/// when the tree would not fit otherwise.
pub fn draw(roots: &[Node], now: Timestamp, width: usize, height: usize, paint: Paint) -> String {
    let full = lines(roots, now, Fold::Nothing, paint);
    let chosen = if full.len() <= height {
        full
    } else {
        lines(roots, now, Fold::Ready, paint)
    };
    let mut text = String::new();
    let shown = if chosen.len() > height && height > 1 {
        height - 1
    } else {
        chosen.len()
    };
    for line in &chosen[..shown] {
        text.push_str(&cut(line, width));
        text.push('\n');
    }
    if shown < chosen.len() {
        let _ = writeln!(text, "… {} more lines", chosen.len() - shown);
    }
    text
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fold {
    Nothing,
    Ready,
}

fn lines(roots: &[Node], now: Timestamp, fold: Fold, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    for root in roots {
        line(root, "", "", now, fold, paint, &mut lines);
    }
    lines
}

fn line(
    node: &Node,
    lead: &str,
    below: &str,
    now: Timestamp,
    fold: Fold,
    paint: Paint,
    lines: &mut Vec<String>,
) {
    let (on, off) = match paint {
        Paint::Plain => ("", ""),
        Paint::Colour => (node.state.colour(), "\x1b[0m"),
    };
    let revision = match &node.revision {
        Some(revision) => format!(" ({})", short(revision)),
        None => String::new(),
    };
    lines.push(format!(
        "{lead}{on}{}{off} {}{revision}  {}",
        node.state.mark(),
        node.title(),
        node.says(now)
    ));
    let (shown, folded): (Vec<_>, Vec<_>) = node
        .children
        .iter()
        .partition(|child| fold == Fold::Nothing || child.state != State::Ready);
    for (index, child) in shown.iter().enumerate() {
        let last = index + 1 == shown.len() && folded.is_empty();
        let (branch, rest) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let lead = format!("{below}{branch}");
        line(
            child,
            &lead,
            &format!("{below}{rest}"),
            now,
            fold,
            paint,
            lines,
        );
    }
    if !folded.is_empty() {
        lines.push(format!("{below}└─ ✔ {} objects ready", folded.len()));
    }
}

/// `main@sha1:1234567` of a long revision.
fn short(revision: &str) -> String {
    match revision.rsplit_once(':') {
        Some((head, hash)) if hash.len() > 12 && hash.is_ascii() => {
            format!("{head}:{}", &hash[..7])
        }
        _ => revision.to_owned(),
    }
}

/// Cuts a line to the width of the screen; escape sequences have no width.
fn cut(line: &str, width: usize) -> String {
    let mut kept = String::new();
    let mut columns = 0;
    let mut in_escape = false;
    for character in line.chars() {
        if character == '\x1b' {
            in_escape = true;
        }
        if !in_escape {
            columns += 1;
            if columns > width {
                break;
            }
        }
        if in_escape && character == 'm' {
            in_escape = false;
        }
        kept.push(character);
    }
    if columns > width && line.contains('\x1b') {
        kept.push_str("\x1b[0m");
    }
    kept
}

/// One change, as a line in a pipe or a JSON object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// When it was seen.
    pub time: Timestamp,
    /// The object as it is now, without its children.
    #[serde(flatten)]
    pub node: Node,
}

impl Line {
    /// The line for people.
    pub fn text(&self) -> String {
        let revision = match &self.node.revision {
            Some(revision) => format!(" ({})", short(revision)),
            None => String::new(),
        };
        let said = self.node.says(self.time);
        format!(
            "{} {} {}{revision}  {said}",
            self.time.strftime("%H:%M:%S"),
            self.node.state.mark(),
            self.node.title(),
        )
    }
}

/// What differs between two trees, in the order of the new one.
pub fn changes(old: &[Node], new: &[Node], now: Timestamp) -> Vec<Line> {
    let mut before = std::collections::HashMap::new();
    collect(old, &mut before);
    let mut lines = Vec::new();
    compare(&before, new, now, &mut lines);
    lines
}

type Seen<'a> = std::collections::HashMap<(&'a str, &'a str, &'a str), &'a Node>;

fn collect<'a>(nodes: &'a [Node], seen: &mut Seen<'a>) {
    for node in nodes {
        seen.insert((&node.kind, &node.namespace, &node.name), node);
        collect(&node.children, seen);
    }
}

fn compare(before: &Seen<'_>, nodes: &[Node], now: Timestamp, lines: &mut Vec<Line>) {
    for node in nodes {
        let key = (
            node.kind.as_str(),
            node.namespace.as_str(),
            node.name.as_str(),
        );
        let same = before.get(&key).is_some_and(|old| {
            old.state == node.state
                && old.message == node.message
                && old.waits_for == node.waits_for
                && old.revision == node.revision
        });
        if !same {
            lines.push(Line {
                time: now,
                node: Node {
                    children: Vec::new(),
                    ..node.clone()
                },
            });
        }
        compare(before, &node.children, now, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().expect("valid")
    }

    fn node(kind: &str, name: &str, state: State) -> Node {
        Node {
            kind: kind.into(),
            namespace: "apps".into(),
            name: name.into(),
            state,
            message: String::new(),
            waits_for: None,
            revision: None,
            since: Some("2026-01-02T03:04:00Z".parse().expect("valid")),
            children: Vec::new(),
        }
    }

    fn tree() -> Vec<Node> {
        let mut source = node("GitRepository", "fleet", State::Ready);
        source.revision = Some("main@sha1:0123456789abcdef0123456789abcdef01234567".into());
        let mut platform = node("Kustomization", "platform", State::Working);
        platform.children = vec![
            node("ConfigMap", "settings", State::Ready),
            Node {
                message: "1 of 3 replicas are ready".into(),
                ..node("Deployment", "gateway", State::Working)
            },
            node("Service", "gateway", State::Ready),
        ];
        let shop = Node {
            waits_for: Some("Kustomization/apps/platform".into()),
            ..node("Kustomization", "shop", State::Waiting)
        };
        vec![source, platform, shop]
    }

    #[test]
    fn the_tree_shows_state_reason_and_since_when() {
        assert_eq!(
            draw(&tree(), now(), 200, 50, Paint::Plain),
            "\
✔ GitRepository/apps/fleet (main@sha1:0123456)  ready
► Kustomization/apps/platform  working, 5s
├─ ✔ ConfigMap/apps/settings  ready
├─ ► Deployment/apps/gateway  working, 5s: 1 of 3 replicas are ready
└─ ✔ Service/apps/gateway  ready
◎ Kustomization/apps/shop  waiting for Kustomization/apps/platform, 5s
"
        );
    }

    #[test]
    fn a_small_screen_folds_what_is_ready_and_cuts_lines() {
        assert_eq!(
            draw(&tree(), now(), 40, 5, Paint::Plain),
            "\
✔ GitRepository/apps/fleet (main@sha1:01
► Kustomization/apps/platform  working,\u{20}
├─ ► Deployment/apps/gateway  working, 5
└─ ✔ 2 objects ready
◎ Kustomization/apps/shop  waiting for K
"
        );
    }

    #[test]
    fn a_pipe_gets_a_line_for_each_change_only() {
        let old = tree();
        let mut new = tree();
        new[1].children[1].state = State::Ready;
        new[1].children[1].message = String::new();
        let lines = changes(&old, &new, now());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].text(), "03:04:05 ✔ Deployment/apps/gateway  ready");
        assert_eq!(
            serde_json::to_string(&lines[0]).expect("serializes"),
            r#"{"time":"2026-01-02T03:04:05Z","kind":"Deployment","namespace":"apps","name":"gateway","state":"ready","since":"2026-01-02T03:04:00Z"}"#
        );
        assert_eq!(changes(&[], &old, now()).len(), 6);
    }

    #[test]
    fn colour_repeats_the_mark_and_never_splits() {
        let drawn = draw(&tree()[..1], now(), 10, 5, Paint::Colour);
        assert_eq!(drawn, "\x1b[32m✔\x1b[0m GitRepos\x1b[0m\n");
    }
}
