//! Definitions that were followed statement by statement are those that the servers show.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};
use oms_core::TableName;
use oms_schema::{
    DatabaseDefinition, DdlStatement, Flavor, SchemaTracker, StatementContext, TableDefinition, TrackerRules,
    layout_differences,
};

const COMMON: &str = include_str!("statements/followed.sql");

/// A small generator: every run gives the same statements.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn column(&mut self) -> String {
        format!("c{}", self.below(9))
    }

    fn definition(&mut self) -> String {
        let ty = self.of(&[
            "int",
            "bigint unsigned",
            "varchar(20)",
            "varchar(300) CHARACTER SET latin1",
            "text",
            "decimal(9,2)",
            "datetime(3)",
            "timestamp NULL",
            "char(5) COLLATE utf8mb4_bin",
            "enum('a','b')",
            "double",
            "blob",
            "bool",
            "mediumint zerofill",
            "tinytext CHARACTER SET latin1",
            "date",
        ]);
        let rest = self.of(&[
            "",
            "",
            " NOT NULL",
            " NULL",
            " COMMENT 'x'",
            " UNIQUE",
            " DEFAULT NULL",
        ]);
        format!("{ty}{rest}")
    }

    fn clause(&mut self) -> String {
        let (a, b, d) = (self.column(), self.column(), self.definition());
        let place = match self.below(4) {
            0 => " FIRST".to_owned(),
            1 => format!(" AFTER {b}"),
            _ => String::new(),
        };
        match self.below(16) {
            0..=3 => format!("ADD {a} {d}{place}"),
            4 => format!("DROP {a}"),
            5 | 6 => format!("MODIFY {a} {d}{place}"),
            7 | 8 => format!("CHANGE {a} {b} {d}{place}"),
            9 => format!("ADD INDEX ({a}, {b})"),
            10 => format!("ADD UNIQUE ({a})"),
            11 => format!("DROP INDEX {a}"),
            12 => format!("ADD PRIMARY KEY ({a})"),
            13 => "DROP PRIMARY KEY".to_owned(),
            14 => self
                .of(&[
                    "CONVERT TO CHARACTER SET latin1",
                    "CONVERT TO CHARACTER SET utf8mb4",
                    "DEFAULT CHARSET latin1",
                    "COLLATE utf8mb4_bin",
                    "COMMENT 'z'",
                    "CONVERT TO CHARACTER SET utf8",
                ])
                .to_owned(),
            _ => format!("ALTER {a} DROP DEFAULT"),
        }
    }

    fn statement(&mut self) -> String {
        let table = self.of(&["r1", "r2", "r3"]);
        match self.below(20) {
            0 => format!(
                "CREATE TABLE {table} ({} {}, {} {}, {} {})",
                "c0",
                self.definition(),
                "c1",
                self.definition(),
                "c2",
                self.definition()
            ),
            1 => format!("RENAME TABLE {table} TO {}", self.of(&["r1", "r2", "r3"])),
            2 => format!("CREATE TABLE {table} LIKE {}", self.of(&["r1", "r2", "r3"])),
            _ => {
                let clauses: Vec<_> = (0..=self.below(3)).map(|_| self.clause()).collect();
                format!("ALTER TABLE {table} {}", clauses.join(", "))
            }
        }
    }
}

struct Followed {
    client: Client,
    tracker: SchemaTracker,
    context: StatementContext,
    /// What went wrong, all of it.
    failures: Vec<String>,
}

impl Followed {
    async fn start(server: &Server, flavor: Flavor, version: u32) -> Self {
        let mut client = server.client().await.unwrap();
        for sql in [
            "CREATE DATABASE d CHARACTER SET utf8mb4",
            "CREATE DATABASE other CHARACTER SET latin1",
            "SET NAMES utf8mb4",
            "SET sql_mode = ''",
            "USE d",
        ] {
            client.query_drop(sql).await.unwrap();
        }
        let sql = "SELECT character_set_name, default_collate_name FROM information_schema.character_sets";
        let collations: BTreeMap<String, String> = client
            .query_strings(sql)
            .await
            .unwrap()
            .into_iter()
            .map(|row| (row[0].clone(), row[1].clone()))
            .collect();
        let explicit = client
            .query_strings("SELECT @@explicit_defaults_for_timestamp + 0")
            .await
            .unwrap();
        let mut tracker = SchemaTracker::new(TrackerRules::new(flavor, version, collations));
        for database in ["d", "other"] {
            let shown = client
                .query_strings(&format!("SHOW CREATE DATABASE {database}"))
                .await
                .unwrap();
            tracker.load_database(&DatabaseDefinition::parse(&shown[0][1]).unwrap());
        }
        let mut context = StatementContext::new(flavor, version).in_database("d");
        context.explicit_timestamps = explicit[0][0] == "1";
        Self {
            client,
            tracker,
            context,
            failures: Vec::new(),
        }
    }

    async fn run(&mut self, sql: &str) -> Result<(), String> {
        self.client.query_drop(sql).await.map_err(|e| e.to_string())
    }

    /// Lets the tracker follow a statement that the server has executed, and compares.
    async fn follow(&mut self, sql: &str) {
        let statement = DdlStatement::parse(sql, &self.context).unwrap_or_else(|e| panic!("{sql}\n{e}"));
        if let Err(error) = self.tracker.apply(&statement, &self.context) {
            self.failures.push(format!("{sql}\n{error}"));
        }
        let rows = self
            .client
            .query_strings(
                "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('d', 'other') \
                 AND table_type <> 'SEQUENCE' ORDER BY 1, 2",
            )
            .await
            .unwrap();
        let there: Vec<TableName> = rows.iter().map(|r| TableName::new(&r[0], &r[1])).collect();
        let known: Vec<TableName> = self.tracker.tables().map(|(name, _)| name).collect();
        let (mut a, mut b) = (known.clone(), there.clone());
        a.sort();
        b.sort();
        if a != b {
            self.failures.push(format!("{sql}\nknown {a:?}\nthere {b:?}"));
        }
        for name in there {
            let touched = statement.objects().contains(&&name) || name.table.starts_with('c');
            if !touched {
                continue;
            }
            let shown = self
                .client
                .query_strings(&format!("SHOW CREATE TABLE {name}"))
                .await
                .unwrap()[0][1]
                .clone();
            let definition = TableDefinition::parse(&shown).unwrap_or_else(|e| panic!("{shown}\n{e}"));
            let Some(tracked) = self.tracker.table(&name) else {
                continue;
            };
            let differences = layout_differences(tracked, &definition);
            let list: Vec<_> = differences.iter().map(ToString::to_string).collect();
            if !list.is_empty() {
                self.failures.push(format!("{sql}\n{}\n{shown}", list.join("\n")));
                self.tracker.load_table(&name.database, &definition).unwrap();
            }
        }
    }
}

async fn follow(kind: ServerKind, flavor: Flavor, version: u32, own: &str) {
    let server = Server::start(kind, ServerOptions::source()).await.unwrap();
    let mut followed = Followed::start(&server, flavor, version).await;
    for sql in COMMON.lines().chain(own.lines()) {
        match followed.run(sql).await {
            Ok(()) => followed.follow(sql).await,
            Err(error) => followed.failures.push(error),
        }
    }
    let mut random = Random(7);
    let (mut done, mut refused) = (0, 0);
    while done < 150 && refused < 6000 {
        let sql = random.statement();
        match followed.run(&sql).await {
            Ok(()) => {
                done += 1;
                followed.follow(&sql).await;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(
        done >= 60,
        "{}: only {done} statements, {refused} refused",
        kind.name()
    );
    assert!(followed.failures.is_empty(), "{}", followed.failures.join("\n\n"));
    // What was followed is kept between restarts.
    let text = serde_json::to_string(&followed.tracker).unwrap();
    assert_eq!(
        serde_json::from_str::<SchemaTracker>(&text).unwrap(),
        followed.tracker
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_shows_what_was_followed() {
    let own = include_str!("statements/followed-mariadb.sql");
    follow(ServerKind::MariaDb, Flavor::MariaDb, 101_106, own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_97_shows_what_was_followed() {
    let own = include_str!("statements/followed-mysql97.sql");
    follow(ServerKind::Mysql97, Flavor::MySql, 90_700, own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_56_shows_what_was_followed() {
    let own = include_str!("statements/followed-mysql56.sql");
    follow(ServerKind::Mysql56, Flavor::MySql, 50_651, own).await;
}
