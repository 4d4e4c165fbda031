//! Makes a tree smaller while its builds still differ.

use super::layers::Tree;

/// The smallest tree that was found within `budget` trials for which
/// `still_fails` holds.
pub fn shrink(tree: &Tree, mut budget: usize, mut still_fails: impl FnMut(&Tree) -> bool) -> Tree {
    let mut best = tree.clone();
    let mut attempt = |best: &mut Tree, smaller: Tree| {
        if budget == 0 {
            return false;
        }
        budget -= 1;
        let fails = still_fails(&smaller);
        if fails {
            *best = smaller;
        }
        fails
    };
    loop {
        let mut progress = false;
        let paths: Vec<String> = best.files.keys().cloned().collect();
        for path in paths {
            let mut without = best.clone();
            without.files.remove(&path);
            if attempt(&mut best, without) {
                progress = true;
                continue;
            }
            let mut at = 0;
            loop {
                let lines: Vec<String> = best.files[&path].lines().map(str::to_owned).collect();
                if at >= lines.len() {
                    break;
                }
                let kept: Vec<&str> = lines[..at]
                    .iter()
                    .chain(&lines[block_end(&lines, at)..])
                    .map(String::as_str)
                    .collect();
                let mut smaller = best.clone();
                let text = if kept.is_empty() {
                    String::new()
                } else {
                    kept.join("\n") + "\n"
                };
                smaller.files.insert(path.clone(), text);
                if attempt(&mut best, smaller) {
                    progress = true;
                } else {
                    at += 1;
                }
            }
        }
        if !progress {
            return best;
        }
    }
}

/// The end of the line and of all that is indented below it.
fn block_end(lines: &[String], at: usize) -> usize {
    let depth = |line: &String| line.len() - line.trim_start().len();
    let own = depth(&lines[at]);
    let is_key = lines[at].trim_end().ends_with(':');
    let below = |line: &String| {
        line.trim().is_empty()
            || depth(line) > own
            || (is_key && depth(line) == own && line.trim_start().starts_with('-'))
    };
    let count = lines[at + 1..]
        .iter()
        .take_while(|line| below(line))
        .count();
    at + 1 + count
}
