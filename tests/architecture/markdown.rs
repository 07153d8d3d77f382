//! What the tests want to know of a document in Markdown: its links, its headings as links find them,
//! and the rows of its tables.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

#[derive(Default)]
pub struct Page {
    pub links: Vec<Link>,
    /// What may stand behind the `#` of a link to this page.
    pub anchors: BTreeSet<String>,
    /// Of all tables, without their heads.
    pub rows: Vec<Row>,
}

#[derive(Clone, Default)]
pub struct Link {
    pub text: String,
    pub target: String,
}

#[derive(Clone)]
pub struct Row {
    /// The heading of the second level above it.
    section: String,
    /// The name of its last column.
    pub column: String,
    cells: Vec<Cell>,
}

#[derive(Clone, Default)]
pub struct Cell {
    pub text: String,
    pub codes: Vec<String>,
    pub links: Vec<Link>,
}

impl Row {
    pub fn first(&self) -> &Cell {
        self.cells.first().expect("a cell")
    }

    pub fn last(&self) -> &Cell {
        self.cells.last().expect("a cell")
    }
}

impl Cell {
    /// Of `GET /path?query` both words, without the query.
    pub fn words(&self) -> Vec<String> {
        let words = self.codes.iter().flat_map(|code| code.split_whitespace());
        let plain = words.filter_map(|word| word.split('?').next());
        plain.map(str::to_owned).collect()
    }
}

impl Page {
    pub fn of(text: &str) -> Self {
        let mut reader = Reader::default();
        Parser::new_ext(text, Options::ENABLE_TABLES).for_each(|event| reader.take(event));
        reader.page
    }

    /// Those of the first cells in a section's tables.
    pub fn words_of(&self, section: &str) -> Vec<String> {
        let rows = self.rows.iter().filter(|row| row.section == section);
        rows.flat_map(|row| row.first().words()).collect()
    }
}

#[derive(Default)]
struct Reader {
    page: Page,
    section: String,
    column: String,
    heading: Option<String>,
    link: Option<Link>,
    cell: Cell,
    cells: Vec<Cell>,
}

impl Reader {
    fn take(&mut self, event: Event) {
        match event {
            Event::Text(text) => self.write(&text),
            Event::Code(text) => {
                self.write(&text);
                self.cell.codes.push(text.into_string());
            }
            Event::SoftBreak => self.write(" "),
            Event::Start(Tag::Heading { .. }) => self.heading = Some(String::new()),
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                self.link = Some(Link {
                    target: dest_url.into_string(),
                    ..Link::default()
                });
            }
            Event::Start(Tag::TableCell) => self.cell = Cell::default(),
            Event::End(end) => self.end(end),
            _ => {}
        }
    }

    fn write(&mut self, text: &str) {
        let link = self.link.as_mut().map(|link| &mut link.text);
        let places = [self.heading.as_mut(), link, Some(&mut self.cell.text)];
        places
            .into_iter()
            .flatten()
            .for_each(|it| it.push_str(text));
    }

    fn end(&mut self, end: TagEnd) {
        match end {
            TagEnd::Heading(level) => {
                let heading = self.heading.take().unwrap_or_default();
                let anchor = self.free_anchor(&heading);
                self.page.anchors.insert(anchor);
                if level == HeadingLevel::H2 {
                    self.section = heading;
                }
            }
            TagEnd::Link | TagEnd::Image => {
                let link = self.link.take().unwrap_or_default();
                self.cell.links.push(link.clone());
                self.page.links.push(link);
            }
            TagEnd::TableCell => self.cells.push(std::mem::take(&mut self.cell)),
            TagEnd::TableHead => {
                let last = self.cells.drain(..).next_back();
                self.column = last.unwrap_or_default().text;
            }
            TagEnd::TableRow => self.page.rows.push(Row {
                section: self.section.clone(),
                column: self.column.clone(),
                cells: std::mem::take(&mut self.cells),
            }),
            _ => {}
        }
    }

    /// As GitHub makes it: in lower case, hyphens for spaces, no other punctuation, and a number
    /// behind one that is there already.
    fn free_anchor(&self, heading: &str) -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let plain: String = heading.to_lowercase().chars().filter(kept).collect();
        let plain = plain.replace(' ', "-");
        let numbered = (1..).map(|number| format!("{plain}-{number}"));
        let mut all = std::iter::once(plain.clone()).chain(numbered);
        let free = all.find(|anchor| !self.page.anchors.contains(anchor));
        free.expect("a number")
    }
}

#[test]
fn headings_are_found_as_links_write_them() {
    let page = Page::of(
        "# `[http]`: the listener\n\n## A 202, and _more_\n\n## `a: b`\n\n## a b\n\n```\n# c\n```\n",
    );
    let anchors: Vec<&str> = page.anchors.iter().map(|anchor| &**anchor).collect();
    assert_eq!(
        anchors,
        ["a-202-and-more", "a-b", "a-b-1", "http-the-listener"]
    );
}

#[test]
fn a_row_has_its_section_its_words_and_its_links() {
    let text =
        "## One\n\n| a | b |\n| --- | --- |\n| `GET /x?y=z`, `\\|` | [`t`](u \"v\") and w |\n";
    let page = Page::of(text);
    assert_eq!(page.words_of("One"), ["GET", "/x", "|"]);
    let [row] = &*page.rows else {
        panic!("one row")
    };
    let link = &row.last().links[0];
    assert_eq!((&*link.text, &*link.target), ("t", "u"));
    assert_eq!((&*row.column, &*row.last().text), ("b", "t and w"));
    assert_eq!(page.links.len(), 1);
}
