//! What is looked at: which rows, in which order, which of them is chosen, and what keys do to that.

use std::cmp::Reverse;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::picture::{Picture, Row};
use crate::monitor::site::{Site, SiteLink, SiteSet, Verdict};

/// What a key asks of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Stay,
    Leave,
    Suspend,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// The worst first; what is equal, as in the configuration.
    #[default]
    Verdict,
    Name,
}

/// What keys mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    Look,
    /// Keys are letters of the name to find.
    Find,
    Help,
}

/// A row, by its place in the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Set(usize),
    LinkOf(usize, usize),
    Link(usize),
}

#[derive(Debug)]
pub(super) struct View {
    pub(super) sort: Sort,
    pub(super) mode: Mode,
    /// Only what has this in its name is shown.
    pub(super) find: String,
    /// Whether all of what is chosen is shown, where there is room.
    pub(super) detail: bool,
    rows: Vec<Place>,
    /// Place of what is chosen among the rows, and its graph, which it is found again by.
    chosen: usize,
    graph: Option<String>,
    /// The row that is drawn first.
    top: usize,
    /// Rows that were drawn last.
    page: usize,
}

impl Default for View {
    fn default() -> Self {
        Self {
            sort: Sort::default(),
            mode: Mode::default(),
            find: String::new(),
            detail: true,
            rows: Vec::new(),
            chosen: 0,
            graph: None,
            top: 0,
            page: 1,
        }
    }
}

impl View {
    /// Puts the rows of a picture into order. What is chosen stays so, wherever it goes.
    pub(super) fn arrange(&mut self, picture: &Picture) {
        let Some(site) = picture.site() else { return };
        self.rows = rows(site, self.sort, &self.find.to_lowercase());
        let graph = self.graph.as_deref();
        let again = graph.and_then(|graph| {
            let of = |place: &Place| resolve(site, *place).graph() == graph;
            self.rows.iter().position(of)
        });
        match again {
            Some(row) => self.chosen = row,
            None => self.choose(self.chosen, picture),
        }
    }

    /// Whoever has never chosen looks at the top, whatever comes there.
    fn choose(&mut self, row: usize, picture: &Picture) {
        self.chosen = row.min(self.rows.len().saturating_sub(1));
        self.graph = match self.chosen {
            0 => None,
            _ => self.chosen(picture).map(|row| row.graph().to_owned()),
        };
    }

    pub(super) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Place of what is chosen.
    pub(super) const fn at(&self) -> usize {
        self.chosen
    }

    pub(super) fn chosen<'p>(&self, picture: &'p Picture) -> Option<Row<'p>> {
        let place = *self.rows.get(self.chosen)?;
        Some(resolve(picture.site()?, place))
    }

    /// The rows that fit on so many lines, what is chosen among them, and the place of the first.
    pub(super) fn page<'p>(&mut self, picture: &'p Picture, lines: usize) -> (usize, Vec<Row<'p>>) {
        self.page = lines.max(1);
        let last_top = self.rows.len().saturating_sub(self.page);
        let least = (self.chosen + 1).saturating_sub(self.page);
        self.top = self.top.clamp(least, self.chosen.max(least)).min(last_top);
        let Some(site) = picture.site() else {
            return (0, Vec::new());
        };
        let rows = self.rows.iter().skip(self.top).take(lines);
        (self.top, rows.map(|place| resolve(site, *place)).collect())
    }

    pub(super) fn press(&mut self, key: KeyEvent, picture: &Picture) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return Wish::Leave,
                KeyCode::Char('z') => return Wish::Suspend,
                _ => return Wish::Stay,
            }
        }
        match self.mode {
            Mode::Find => self.press_in_find(key.code, picture),
            Mode::Help => self.mode = Mode::Look,
            Mode::Look => return self.press_in_look(key.code, picture),
        }
        Wish::Stay
    }

    fn press_in_look(&mut self, code: KeyCode, picture: &Picture) -> Wish {
        let (row, page, last) = (self.chosen, self.page, self.rows.len());
        match code {
            KeyCode::Esc if !self.find.is_empty() => self.found(String::new(), picture),
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Leave,
            KeyCode::Up | KeyCode::Char('k') => self.choose(row.saturating_sub(1), picture),
            KeyCode::Down | KeyCode::Char('j') => self.choose(row + 1, picture),
            KeyCode::PageUp => self.choose(row.saturating_sub(page), picture),
            KeyCode::PageDown => self.choose(row.saturating_add(page), picture),
            KeyCode::Home | KeyCode::Char('g') => self.choose(0, picture),
            KeyCode::End | KeyCode::Char('G') => self.choose(last, picture),
            KeyCode::Char('/') => self.mode = Mode::Find,
            KeyCode::Char('?') | KeyCode::Char('h') => self.mode = Mode::Help,
            KeyCode::Enter => self.detail = !self.detail,
            KeyCode::Char('s') => {
                self.sort = match self.sort {
                    Sort::Verdict => Sort::Name,
                    Sort::Name => Sort::Verdict,
                };
                self.arrange(picture);
            }
            _ => {}
        }
        Wish::Stay
    }

    fn press_in_find(&mut self, code: KeyCode, picture: &Picture) {
        let mut find = std::mem::take(&mut self.find);
        match code {
            KeyCode::Char(letter) => find.push(letter),
            KeyCode::Backspace => {
                find.pop();
            }
            KeyCode::Esc => {
                find.clear();
                self.mode = Mode::Look;
            }
            KeyCode::Enter | KeyCode::Up | KeyCode::Down => self.mode = Mode::Look,
            _ => {}
        }
        self.found(find, picture);
    }

    fn found(&mut self, find: String, picture: &Picture) {
        self.find = find;
        self.arrange(picture);
    }
}

fn resolve(site: &Site, place: Place) -> Row<'_> {
    match place {
        Place::Set(set) => Row::Set(&site.sets[set]),
        Place::LinkOf(set, link) => {
            let set = &site.sets[set];
            Row::Link(&set.links[link], Some(set))
        }
        Place::Link(link) => Row::Link(&site.links[link], None),
    }
}

/// Each set with its links behind it, then the links of none. A set is there when it or a link of it has `find` in its name.
fn rows(site: &Site, sort: Sort, find: &str) -> Vec<Place> {
    let named = |text: &str| text.to_lowercase().contains(find);
    let wanted = |link: &SiteLink| named(&link.graph) || named(&link.tunnel);
    let verdict = |set: &SiteSet| set.verdict;
    let sets = in_order(&site.sets, sort, verdict, |it| &it.graph, |_| true);
    let mut rows = Vec::new();
    for set in sets {
        let whole = named(&site.sets[set].graph);
        let links = links_in_order(&site.sets[set].links, sort, |it| whole || wanted(it));
        if whole || !links.is_empty() {
            rows.push(Place::Set(set));
            rows.extend(links.into_iter().map(|link| Place::LinkOf(set, link)));
        }
    }
    let links = links_in_order(&site.links, sort, wanted);
    rows.extend(links.into_iter().map(Place::Link));
    rows
}

fn links_in_order(
    links: &[SiteLink],
    sort: Sort,
    wanted: impl Fn(&SiteLink) -> bool,
) -> Vec<usize> {
    in_order(links, sort, |it| it.verdict, |it| &it.graph, wanted)
}

/// Places of the wanted ones. What is equal stays in the configuration's order.
fn in_order<T>(
    all: &[T],
    sort: Sort,
    verdict: impl Fn(&T) -> Verdict,
    name: impl Fn(&T) -> &str,
    wanted: impl Fn(&T) -> bool,
) -> Vec<usize> {
    let mut places: Vec<usize> = (0..all.len()).filter(|&it| wanted(&all[it])).collect();
    match sort {
        Sort::Verdict => places.sort_by_key(|&it| Reverse(verdict(&all[it]))),
        Sort::Name => places.sort_by(|&one, &other| name(&all[one]).cmp(name(&all[other]))),
    }
    places
}

#[cfg(test)]
mod tests;
