//! Puts everything on the screen, however small it is.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Row as TableRow, Table, Wrap};

use super::Screen;
use super::columns::{Cells, Column, columns, most_latency_us};
use super::detail;
use super::look::word;
use super::view::{Mode, Sort};
use crate::management::table::duration;
use crate::monitor::site::{Site, Verdict};

/// From so many lines on there is room for all of what is chosen.
const LINES_FOR_DETAIL: u16 = 18;
/// Lines of the headline at most.
const MOST_HEADLINES: usize = 4;

const HELP: [&str; 14] = [
    "up down PgUp PgDn Home End   choose a line",
    "Enter   show or hide what is chosen",
    "/       find by name; Esc shows all again",
    "s       sort by verdict or by name",
    "q Esc   leave",
    "",
    "LOSS    of a link's copies in the last minute, or of its echoes",
    "RTT     round trip of LCP echoes; of a set, what it saved",
    "IN OUT  bit/s",
    "SKEW    ms behind the first copy   WINS  copies that were first",
    "1 min   the last minutes, new at the right; a cross: down",
    "down    is not up; bad: 2 % lost, or off-line for over 5 s, or an",
    "        alarm; degraded: 0.1 % lost, off-line, or late by twice",
    "        the best round trip and 30 ms: all in the last minute",
];

pub(super) fn draw(screen: &mut Screen, frame: &mut Frame<'_>) {
    let area = frame.area();
    let Some(site) = screen.picture.site() else {
        return;
    };
    let problems = headline(screen, site, area);
    let with_detail = screen.view.detail && area.height >= LINES_FOR_DETAIL;
    let detail_lines = if with_detail { detail::LINES } else { 0 };
    let [top, middle, rows, detail, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(problems.len() as u16),
        Constraint::Min(u16::from(area.height > 1)),
        Constraint::Length(detail_lines),
        Constraint::Length(u16::from(area.height > 2)),
    ])
    .areas(area);
    let head = title(screen, site);
    let foot = footer(screen);
    frame.render_widget(Paragraph::new(problems), middle);
    draw_rows(screen, frame, rows);
    if with_detail {
        draw_detail(screen, frame, detail);
    }
    if screen.silent.is_some() {
        // What is shown is not so any more, or nobody knows.
        let grey = match screen.look.colours {
            true => Style::reset().fg(Color::DarkGray),
            false => Style::reset().add_modifier(Modifier::DIM),
        };
        frame.buffer_mut().set_style(area, grey);
    }
    frame.render_widget(head, top);
    frame.render_widget(foot, bottom);
    if screen.view.mode == Mode::Help {
        draw_help(frame, area);
    }
}

/// Whose screen this is; or since when nothing is heard of it.
fn title(screen: &Screen, site: &Site) -> Paragraph<'static> {
    let name = Span::styled(site.name.clone(), Style::new().add_modifier(Modifier::BOLD));
    let Some((since, why)) = &screen.silent else {
        let rest = format!("  hal2tp {}  up {}", site.version, duration(site.uptime_s));
        return Paragraph::new(Line::from(vec![name, Span::raw(rest)]));
    };
    let for_s = duration(since.elapsed().as_secs());
    let why = why.lines().next().unwrap_or_default();
    let text = format!(" silent for {for_s}: {why}");
    let alarm = screen.look.of_verdict(Verdict::Down);
    Paragraph::new(Line::from(vec![name, Span::raw(text)]))
        .style(alarm.add_modifier(Modifier::REVERSED))
}

/// The verdict on everything, and what is worst.
fn headline(screen: &Screen, site: &Site, area: Rect) -> Vec<Line<'static>> {
    let look = screen.look;
    let most = match area.height {
        0..4 => return Vec::new(),
        4..12 => 1,
        12..20 => 2,
        _ => MOST_HEADLINES,
    };
    let problems = &screen.picture.problems;
    let counted = counted(screen.picture.counts);
    let mut lines = vec![Line::styled(
        format!(
            "{} {}; {counted}",
            look.sign(site.verdict),
            word(site.verdict)
        ),
        look.of_verdict(site.verdict),
    )];
    // The last line is for one more, or for how many there are more.
    let told = match problems.len() < most {
        true => problems.len(),
        false => most.saturating_sub(2),
    };
    let width = usize::from(area.width);
    lines.extend(problems.iter().take(told).map(|problem| {
        let who = format!("  {} {}", look.sign(problem.verdict), problem.who);
        let room = width.saturating_sub(who.chars().count() + 2);
        Line::from(vec![
            Span::styled(who, look.of_verdict(problem.verdict)),
            Span::raw(format!(": {}", cut(&problem.why, room))),
        ])
    }));
    if told < problems.len() && most > 1 {
        let more = format!("  and {} more", problems.len() - told);
        lines.push(Line::styled(more, look.faint()));
    }
    lines
}

/// As much of a text as has room, with a sign that there was more.
fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(2)).collect();
    format!("{}..", kept.trim_end())
}

/// `5 links: 1 down, 3 bad, 1 good`
fn counted(counts: [usize; 4]) -> String {
    let all: usize = counts.iter().sum();
    let verdicts = [
        Verdict::Down,
        Verdict::Bad,
        Verdict::Degraded,
        Verdict::Good,
    ];
    let some = verdicts.map(|verdict| (counts[verdict as usize], word(verdict)));
    let some = some.iter().filter(|(count, _)| *count > 0);
    let some: Vec<String> = some
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match all {
        0 => "no links".to_owned(),
        1 => format!("1 link: {}", some.join(", ")),
        _ => format!("{all} links: {}", some.join(", ")),
    }
}

fn draw_rows(screen: &mut Screen, frame: &mut Frame<'_>, area: Rect) {
    let lines = usize::from(area.height.saturating_sub(1));
    let (top, page) = screen.view.page(&screen.picture, lines);
    let columns = columns(area.width);
    let trace = columns.iter().find(|it| it.0 == Column::LatencyTrace);
    let cells = Cells {
        screen,
        most_us: trace.map_or(0, |trace| most_latency_us(screen, &page, width(&trace.1))),
        traced: trace.is_some(),
    };
    let rows = page.iter().enumerate().map(|(at, row)| {
        let cells = columns
            .iter()
            .map(|(column, constraint)| cells.cell(*column, *row, width(constraint)));
        let style = match top + at == screen.view.at() {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new(),
        };
        TableRow::new(cells).style(style)
    });
    let head = columns
        .iter()
        .map(|(column, constraint)| column.title(width(constraint)));
    let head = TableRow::new(head).style(screen.look.faint());
    let widths = columns.iter().map(|(_, constraint)| *constraint);
    let table = Table::new(rows, widths).header(head).column_spacing(1);
    frame.render_widget(table, area);
}

/// Of a column that has one of its own.
const fn width(constraint: &Constraint) -> u16 {
    match constraint {
        Constraint::Length(width) => *width,
        _ => 0,
    }
}

fn draw_detail(screen: &Screen, frame: &mut Frame<'_>, area: Rect) {
    let Some(row) = screen.view.chosen(&screen.picture) else {
        return;
    };
    let [title, why, rest] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(detail::WHY_LINES),
        Constraint::Min(0),
    ])
    .areas(area);
    let rule = screen.look.rule();
    let name = format!("{rule}{rule} {} ", row.graph());
    let after = usize::from(area.width).saturating_sub(name.chars().count());
    let name = Line::styled(name + &rule.repeat(after), screen.look.faint());
    let judged = Paragraph::new(detail::judged(screen, row)).wrap(Wrap { trim: true });
    frame.render_widget(name, title);
    frame.render_widget(judged, why);
    frame.render_widget(Paragraph::new(detail::lines(screen, row, area.width)), rest);
}

/// What keys do; or what is looked for.
fn footer(screen: &Screen) -> Paragraph<'static> {
    let view = &screen.view;
    let place = match view.len() {
        0 => "nothing is called so".to_owned(),
        all => format!("{}/{all}", view.at() + 1),
    };
    let sort = match view.sort {
        Sort::Verdict => "verdict",
        Sort::Name => "name",
    };
    let text = match (view.mode, view.find.as_str()) {
        (Mode::Find, find) => format!("/{find}_  {place}  Enter keeps  Esc shows all"),
        (_, "") => format!("{place}  q leave  ? help  / find  s by {sort}  Enter detail"),
        (_, find) => format!("{place} with \"{find}\"  Esc all  q leave  ? help  s by {sort}"),
    };
    Paragraph::new(text).style(screen.look.faint())
}

fn draw_help(frame: &mut Frame<'_>, area: Rect) {
    let width = HELP.iter().map(|line| line.len()).max().unwrap_or(0) as u16 + 4;
    let popup = area.centered(
        Constraint::Length(width.min(area.width)),
        Constraint::Length((HELP.len() as u16 + 2).min(area.height)),
    );
    let lines: Vec<Line<'_>> = HELP.into_iter().map(Line::raw).collect();
    let help = Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .block(Block::bordered().title(" any key closes this "));
    frame.render_widget(Clear, popup);
    frame.render_widget(help, popup);
}
