//! Synchronization projects to Kafka: what a consumer of committed messages can rely on.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::ensure;
use oms_cluster_tests::{
    Deployment, DeploymentOptions, KafkaCluster, Listener, OmsNode, ProjectClient, Server, ServerKind,
    ServerOptions,
};
use oms_kafka::{BareKafka, KafkaSettings};
use oms_proto::v1::{
    Connection, CreateDataSourceRequest, CreateProjectRequest, DataSourceKind, DdlSynchronization,
    IncrementalOptions, KafkaOptions, MessageFormat, OversizedMessages, ProjectRequest, ProjectSpec,
    SaslMechanism, StepKind, StepState, Steps,
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);

/// A MariaDB, brokers and a node, with the data sources `src` and `dst`.
struct Bed {
    source: Server,
    kafka: KafkaCluster,
    node: OmsNode,
    _folder: TempDir,
}

impl Bed {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Server::start(ServerKind::MariaDb, ServerOptions::source().gtid(true))
            .await
            .unwrap();
        let kafka = KafkaCluster::start(1).await.unwrap();
        let node = OmsNode::start(&folder.path().join("node")).await.unwrap();
        let bed = Self {
            source,
            kafka,
            node,
            _folder: folder,
        };
        let connection = Connection {
            kind: DataSourceKind::Mariadb as i32,
            host: bed.source.host().to_owned(),
            port: u32::from(bed.source.port()),
            user: bed.source.oms_user().to_owned(),
            ..Default::default()
        };
        bed.register("src", connection, bed.source.password())
            .await
            .unwrap();
        let connection = Connection {
            kind: DataSourceKind::Kafka as i32,
            host: bed.kafka.bootstrap(Listener::Plain),
            port: 9092,
            ..Default::default()
        };
        bed.register("dst", connection, "").await.unwrap();
        bed
    }

    async fn register(&self, name: &str, connection: Connection, password: &str) -> anyhow::Result<()> {
        let request = CreateDataSourceRequest {
            name: name.to_owned(),
            connection: Some(connection),
            password: password.to_owned(),
            ..Default::default()
        };
        self.node
            .data_sources()
            .await?
            .create_data_source(request)
            .await?;
        Ok(())
    }

    async fn launch(&self, spec: ProjectSpec) -> ProjectClient {
        let project = ProjectClient {
            name: spec.name.clone(),
        };
        let mut projects = self.node.projects().await.unwrap();
        projects
            .create_project(CreateProjectRequest { spec: Some(spec) })
            .await
            .unwrap();
        let request = ProjectRequest {
            project: project.name.clone(),
        };
        projects.start_project(request).await.unwrap();
        project
    }

    async fn following(&self, project: &ProjectClient) {
        project
            .wait_step(&self.node, StepKind::IncrTransfer, &[StepState::Monitoring])
            .await
            .unwrap();
    }

    fn bootstrap(&self) -> String {
        self.kafka.bootstrap(Listener::Plain)
    }
}

/// A project of the database `shop`, which has the project's name in messages.
fn spec(name: &str, steps: Steps, kafka: KafkaOptions) -> ProjectSpec {
    let project = ProjectClient {
        name: name.to_owned(),
    };
    let mut spec = project.spec(&["shop"]);
    for database in &mut spec.databases {
        database.rename_to = name.to_owned();
    }
    ProjectSpec {
        steps: Some(steps),
        kafka: Some(kafka),
        ..spec
    }
}

const ALL: Steps = Steps {
    schema: true,
    full: true,
    incremental: true,
    verification: false,
};

/// What a consumer of committed messages reads of a topic from its beginning: keys and contents, by partition.
fn committed(bootstrap: &str, topic: &str, partitions: i32) -> BTreeMap<i32, Vec<(String, Value)>> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "auditor")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    reader.assign(&list).unwrap();
    let (mut ended, mut found) = (BTreeSet::new(), BTreeMap::<i32, Vec<(String, Value)>>::new());
    let end = Instant::now() + PATIENCE;
    while ended.len() < partitions as usize {
        assert!(Instant::now() < end, "the end of {topic} is not reached");
        match reader.poll(Duration::from_millis(200)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => panic!("{error}"),
            Some(Ok(m)) => {
                let key = String::from_utf8(m.key().unwrap().to_vec()).unwrap();
                let value = serde_json::from_slice(m.payload().unwrap()).unwrap();
                found.entry(m.partition()).or_default().push((key, value));
            }
        }
    }
    found
}

/// The row of a message in whichever format, and whether it was deleted. Columns may be missing of updates.
fn row_of(message: &Value) -> (Value, bool) {
    let deleted = [
        "/recordType",
        "/type",
        "/payload/op",
        "/op",
        "/__deleted",
        "/meta/op",
    ]
    .iter()
    .filter_map(|at| message.pointer(at)?.as_str())
    .any(|op| matches!(op.to_lowercase().as_str(), "delete" | "d" | "true" | "del"));
    let images = if deleted {
        [
            "/prevStruct",
            "/payload/before/data",
            "/payload/before",
            "/before",
            "/data/0",
            "/data",
        ]
    } else {
        [
            "/postStruct",
            "/payload/after/data",
            "/payload/after",
            "/after",
            "/data/0",
            "/data",
        ]
    };
    let image = images
        .iter()
        .filter_map(|at| message.pointer(at))
        .find(|v| v.is_object());
    let mut row = image.unwrap_or(message).clone();
    // What SharePlex leaves out of an update has not changed.
    if let (Some(key), Some(row)) = (message.get("key").and_then(Value::as_object), row.as_object_mut()) {
        for (column, value) in key {
            row.entry(column).or_insert_with(|| value.clone());
        }
    }
    (row, deleted)
}

type Rows = BTreeMap<i64, (Option<String>, i64)>;

fn rebuilt(messages: &BTreeMap<i32, Vec<(String, Value)>>) -> Rows {
    let mut rows = Rows::new();
    for (_, message) in messages.values().flatten() {
        let (row, deleted) = row_of(message);
        let id = row["id"].as_i64().unwrap_or_else(|| panic!("no id: {message}"));
        if deleted {
            rows.remove(&id);
        } else {
            let name = row["name"].as_str().map(str::to_owned);
            let amount = row["amount"]
                .as_i64()
                .unwrap_or_else(|| panic!("no amount: {message}"));
            rows.insert(id, (name, amount));
        }
    }
    rows
}

/// The rows that exist and changes of all kinds, in every format: who keeps the last message of each key has the table.
#[tokio::test(flavor = "multi_thread")]
async fn every_format_rebuilds_the_table() {
    let bed = Bed::start().await;
    let mut client = bed.source.client().await.unwrap();
    for sql in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id INT PRIMARY KEY, name VARCHAR(40), amount INT NOT NULL) DEFAULT CHARSET utf8mb4",
    ] {
        client.query_drop(sql).await.unwrap();
    }
    let fill: Vec<String> = (1..=500)
        .map(|i| format!("({i}, 'näme \"{i}', {})", i * 3))
        .collect();
    let sql = format!("INSERT INTO shop.orders VALUES {}", fill.join(","));
    client.query_drop(&sql).await.unwrap();
    let formats: Vec<&str> = MessageFormat::NAMES.to_vec();
    let mut projects = Vec::new();
    for format in &formats {
        let kafka = KafkaOptions {
            format: MessageFormat::from_name(format).unwrap() as i32,
            topic: "${database}.${table}".to_owned(),
            ..Default::default()
        };
        projects.push(bed.launch(spec(format, ALL, kafka)).await);
    }
    // While rows are sent, and afterwards.
    for i in 0..100 {
        for sql in [
            format!(
                "UPDATE shop.orders SET amount = amount + 1 WHERE id = {}",
                i * 3 + 1
            ),
            format!("DELETE FROM shop.orders WHERE id = {}", i * 4 + 2),
            format!("INSERT INTO shop.orders VALUES ({}, NULL, {i})", 1_000 + i),
        ] {
            client.query_drop(&sql).await.unwrap();
        }
    }
    for project in &projects {
        bed.following(project).await;
    }
    client
        .query_drop("UPDATE shop.orders SET name = 'last' WHERE id % 7 = 0")
        .await
        .unwrap();
    for project in &projects {
        project.wait_caught_up(&bed.node).await.unwrap();
    }
    let source: Rows = client
        .query_strings("SELECT id, COALESCE(name, ''), amount FROM shop.orders")
        .await
        .unwrap()
        .into_iter()
        .map(|row| {
            let name = (!row[1].is_empty()).then(|| row[1].clone());
            (row[0].parse().unwrap(), (name, row[2].parse().unwrap()))
        })
        .collect();
    for format in formats {
        let messages = committed(&bed.bootstrap(), &format!("{format}.orders"), 3);
        assert!(messages.len() == 3, "{format}: all partitions are used");
        assert_eq!(rebuilt(&messages), source, "{format}");
    }
}

/// The node is killed again and again, and the broker goes away, while counters are counted up: each value of each is seen
/// once, in order, in one partition.
#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_seen_once_and_in_order() {
    const COUNTERS: u64 = 7;
    let mut bed = Bed::start().await;
    let mut client = bed.source.client().await.unwrap();
    client.query_drop("CREATE DATABASE shop").await.unwrap();
    client
        .query_drop("CREATE TABLE shop.counters (id INT PRIMARY KEY, n INT NOT NULL)")
        .await
        .unwrap();
    for id in 0..COUNTERS {
        client
            .query_drop(&format!("INSERT INTO shop.counters VALUES ({id}, 0)"))
            .await
            .unwrap();
    }
    let steps = Steps {
        schema: true,
        incremental: true,
        ..Default::default()
    };
    let project = bed.launch(spec("counters", steps, KafkaOptions::default())).await;
    bed.following(&project).await;
    let mut counted = 0u64;
    for round in 0..4 {
        for step in 0..60u64 {
            client
                .query_drop(&format!(
                    "UPDATE shop.counters SET n = n + 1 WHERE id IN ({}, {})",
                    step % COUNTERS,
                    (step + 3) % COUNTERS
                ))
                .await
                .unwrap();
            counted += 2;
        }
        match round {
            0 | 2 => {
                bed.node.kill().unwrap();
                bed.node.restart().await.unwrap();
            }
            1 => {
                bed.kafka.kill(0).unwrap();
                bed.kafka.restart(0).await.unwrap();
            }
            _ => {}
        }
    }
    project.wait_caught_up(&bed.node).await.unwrap();
    assert_eq!(counted_up(&bed.bootstrap(), "Topic_counters_counters"), counted);
}

/// Checks that each value of each counter is in the topic once, in order, in one partition; how many there are.
fn counted_up(bootstrap: &str, topic: &str) -> u64 {
    let messages = committed(bootstrap, topic, 3);
    let mut last: BTreeMap<i64, (i32, i64)> = BTreeMap::new();
    let mut seen = 0;
    for (partition, list) in &messages {
        for (_, message) in list {
            assert_eq!(message["recordType"], "UPDATE", "{message}");
            let (id, n) = (&message["postStruct"]["id"], &message["postStruct"]["n"]);
            let (id, n) = (id.as_i64().unwrap(), n.as_i64().unwrap());
            let (place, before) = last.insert(id, (*partition, n)).unwrap_or((*partition, 0));
            assert_eq!((place, before + 1), (*partition, n), "counter {id}");
            seen += 1;
        }
    }
    seen
}

/// The owner's node dies, then the next owner freezes and wakes, while counters are counted up without a pause: another
/// node goes on each time, and what the frozen one had under way is never seen.
#[tokio::test(flavor = "multi_thread")]
async fn another_node_goes_on() {
    const COUNTERS: u64 = 5;
    let mut d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let kafka = KafkaCluster::start_at(1, d.cluster.lan().host()).await.unwrap();
    let bootstrap = kafka.bootstrap(Listener::Plain);
    let request = CreateDataSourceRequest {
        name: "brokers".to_owned(),
        connection: Some(Connection {
            kind: DataSourceKind::Kafka as i32,
            host: bootstrap.clone(),
            port: 9092,
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut sources = d.cluster.node(1).data_sources().await.unwrap();
    sources.create_data_source(request).await.unwrap();
    let mut client = d.source.client().await.unwrap();
    client.query_drop("CREATE DATABASE shop").await.unwrap();
    client
        .query_drop("CREATE TABLE shop.counters (id INT PRIMARY KEY, n INT NOT NULL)")
        .await
        .unwrap();
    for id in 0..COUNTERS {
        client
            .query_drop(&format!("INSERT INTO shop.counters VALUES ({id}, 0)"))
            .await
            .unwrap();
    }
    let steps = Steps {
        schema: true,
        incremental: true,
        ..Default::default()
    };
    let mut spec = spec("test", steps, KafkaOptions::default());
    spec.destination = "brokers".to_owned();
    d.launch(1, spec).await.unwrap();
    d.following().await.unwrap();
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let counting = tokio::spawn(async move {
        let mut counted = 0u64;
        while stopped.try_recv().is_err() {
            let (a, b) = (counted % COUNTERS, (counted + 2) % COUNTERS);
            let sql = format!("UPDATE shop.counters SET n = n + 1 WHERE id IN ({a}, {b})");
            client.query_drop(&sql).await.unwrap();
            counted += 2;
        }
        counted
    });
    // Killed.
    let asked = d.cluster.other_than(&[]).unwrap();
    let (victim, before) = d.cluster.owner(asked, "incr-sync").await.unwrap();
    d.cluster.node_mut(victim).kill().unwrap();
    moved(&d, victim, before.epoch).await;
    d.cluster.start(victim, None).await.unwrap();
    d.cluster.settled().await.unwrap();
    // Frozen, and awake when another one has taken over.
    let (frozen, before) = d.cluster.owner(victim, "incr-sync").await.unwrap();
    d.cluster.node_mut(frozen).freeze().unwrap();
    moved(&d, frozen, before.epoch).await;
    d.cluster.node_mut(frozen).thaw().unwrap();
    d.cluster.settled().await.unwrap();
    stop.send(()).unwrap();
    let counted = counting.await.unwrap();
    let asked = d.cluster.node(victim);
    d.project.wait_caught_up(asked).await.unwrap();
    assert_eq!(counted_up(&bootstrap, "Topic_test_counters"), counted);
}

/// Waits until another node sends changes.
async fn moved(d: &Deployment, former: u8, epoch: u64) {
    let asked = d.cluster.other_than(&[former]).unwrap();
    d.cluster
        .wait("incr-sync on another node", async || {
            let (owner, after) = d.cluster.owner(asked, "incr-sync").await?;
            ensure!(owner != former && after.epoch > epoch, "{after:?}");
            let rows = after.progress.map_or(0, |p| p.rows);
            ensure!(rows > 0, "it has not sent anything yet");
            Ok(())
        })
        .await
        .unwrap();
}

/// What is wrong at the destination is said before anything is sent, or stops the project with its code.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named() {
    let bed = Bed::start().await;
    let mut client = bed.source.client().await.unwrap();
    client.query_drop("CREATE DATABASE shop").await.unwrap();
    client
        .query_drop("CREATE TABLE shop.notes (id INT PRIMARY KEY, note LONGTEXT) DEFAULT CHARSET utf8mb4")
        .await
        .unwrap();
    // Missing, and not to be created.
    let forbidden = KafkaOptions {
        existing_topics_only: true,
        ..Default::default()
    };
    let project = bed.launch(spec("forbidden", ALL, forbidden)).await;
    let (code, message) = project.wait_failed(&bed.node).await.unwrap();
    assert!(
        message.contains("MQ_TOPIC_EXIST") && message.contains("Topic_forbidden_notes"),
        "{code} {message}"
    );
    // Of no use for messages.
    let mut projects = bed.node.projects().await.unwrap();
    let verified = spec(
        "verified",
        Steps {
            verification: true,
            ..ALL
        },
        KafkaOptions::default(),
    );
    let refused = projects
        .create_project(CreateProjectRequest { spec: Some(verified) })
        .await
        .unwrap_err();
    assert!(refused.message().contains("steps.verification"), "{refused}");
    // An account without rights, and one with a wrong password.
    let guest = |password: &str| {
        let connection = Connection {
            kind: DataSourceKind::Kafka as i32,
            host: bed.kafka.bootstrap(Listener::Sasl),
            port: 9092,
            user: "guest".to_owned(),
            sasl: SaslMechanism::ScramSha256 as i32,
            ..Default::default()
        };
        (connection, password.to_owned())
    };
    let (connection, password) = guest("wrong");
    let refused = bed.register("nobody", connection, &password).await.unwrap_err();
    // librdkafka tells a wrong password only as brokers that cannot be reached.
    assert!(
        refused.to_string().contains("looking at the brokers"),
        "{refused:#}"
    );
    let (connection, password) = guest(bed.kafka.password());
    bed.register("guest", connection, &password).await.unwrap();
    let mut unauthorised = spec("unauthorised", ALL, KafkaOptions::default());
    unauthorised.destination = "guest".to_owned();
    let project = bed.launch(unauthorised).await;
    let (_, message) = project.wait_failed(&bed.node).await.unwrap();
    assert!(message.contains("OMS-DST-0005"), "{message}");
    // Larger than the topic takes: it stops one project, and comes in parts in the other.
    let project = bed.launch(spec("large", ALL, KafkaOptions::default())).await;
    let split = KafkaOptions {
        oversized: OversizedMessages::Split as i32,
        ..Default::default()
    };
    let parted = bed.launch(spec("parted", ALL, split)).await;
    bed.following(&project).await;
    bed.following(&parted).await;
    client
        .query_drop("INSERT INTO shop.notes VALUES (1, REPEAT('x', 3000000))")
        .await
        .unwrap();
    let (code, message) = project.wait_failed(&bed.node).await.unwrap();
    assert_eq!(code, "OMS-MESSAGE-0005", "{message}");
    assert!(message.contains("Topic_large_notes"), "{message}");
    client
        .query_drop("INSERT INTO shop.notes VALUES (2, 'small')")
        .await
        .unwrap();
    parted.wait_caught_up(&bed.node).await.unwrap();
    let (mut whole, mut parts) = (Vec::new(), BTreeMap::new());
    let kafka = BareKafka::new(KafkaSettings::new(bed.bootstrap()));
    kafka
        .read(&["Topic_parted_notes"], |message| {
            let header = |name: &str| message.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v);
            let Some(part) = header("oms-part") else {
                whole.push(message.value.to_vec());
                return;
            };
            let (number, of) = std::str::from_utf8(part).unwrap().split_once('/').unwrap();
            let id = header("oms-parts-of").unwrap().clone();
            let content: &mut (usize, Vec<u8>) = parts.entry(id).or_default();
            content.0 += 1;
            assert_eq!(number.parse::<usize>().unwrap(), content.0, "in order");
            assert_eq!(of, "4");
            content.1.extend_from_slice(&message.value);
        })
        .unwrap();
    let [(count, content)] = parts.into_values().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(count, 4);
    let rows: Vec<Value> = whole
        .iter()
        .chain([&content])
        .map(|content| serde_json::from_slice(content).unwrap())
        .collect();
    assert_eq!(rows.len(), 2, "{whole:?}");
    assert_eq!(rows[0]["postStruct"]["note"], "small");
    assert_eq!(rows[1]["postStruct"]["note"].as_str().unwrap().len(), 3_000_000);
}

/// Statements that define tables are sent behind the changes before them and in front of those behind them, to every
/// partition once, also when the node is killed meanwhile; rows are written as they are at their place, also of a new table.
#[tokio::test(flavor = "multi_thread")]
async fn statements_come_in_their_place() {
    let mut bed = Bed::start().await;
    let mut client = bed.source.client().await.unwrap();
    for sql in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id INT PRIMARY KEY, amount INT NOT NULL)",
    ] {
        client.query_drop(sql).await.unwrap();
    }
    let following = |name: &str, format: MessageFormat| {
        let kafka = KafkaOptions {
            format: format as i32,
            ..Default::default()
        };
        let steps = Steps {
            schema: true,
            incremental: true,
            ..Default::default()
        };
        ProjectSpec {
            incremental: Some(IncrementalOptions {
                ddl: DdlSynchronization::Follow as i32,
                ..Default::default()
            }),
            ..spec(name, steps, kafka)
        }
    };
    let project = bed.launch(following("told", MessageFormat::Default)).await;
    // Has no messages about statements, and goes on behind them.
    let silent = bed.launch(following("silent", MessageFormat::Debezium)).await;
    bed.following(&project).await;
    bed.following(&silent).await;
    const ROUNDS: i64 = 3;
    for round in 0..ROUNDS {
        for i in 0..20 {
            let columns = "(id, amount)";
            let sql = format!(
                "INSERT INTO shop.orders {columns} VALUES ({}, {round})",
                round * 100 + i
            );
            client.query_drop(&sql).await.unwrap();
        }
        client
            .query_drop(&format!(
                "ALTER TABLE shop.orders ADD COLUMN c{round} INT NOT NULL DEFAULT {round}"
            ))
            .await
            .unwrap();
        client
            .query_drop(&format!(
                "CREATE TABLE shop.new_{round} (id INT PRIMARY KEY, amount INT)"
            ))
            .await
            .unwrap();
        client
            .query_drop(&format!("INSERT INTO shop.new_{round} VALUES (1, {round})"))
            .await
            .unwrap();
        if round == 1 {
            bed.node.kill().unwrap();
            bed.node.restart().await.unwrap();
        }
    }
    client
        .query_drop("INSERT INTO shop.orders (id, amount) VALUES (1000, 3)")
        .await
        .unwrap();
    client.query_drop("DROP TABLE shop.new_0").await.unwrap();
    for project in [&project, &silent] {
        project.wait_caught_up(&bed.node).await.unwrap();
    }
    let messages = committed(&bed.bootstrap(), "Topic_told_orders", 3);
    assert_eq!(messages.len(), 3, "all partitions are used");
    let mut rows = BTreeSet::new();
    for list in messages.values() {
        // How many columns rows have here: one more behind each statement.
        let mut told = 0;
        for (key, message) in list {
            if message["recordType"] == "DDL" {
                assert_eq!(key, "told.orders");
                assert_eq!(message["allMetaData"]["ddlType"], "ALTER_TABLE", "{message}");
                let text = message["postStruct"]["ddl"].as_str().unwrap();
                assert!(text.contains(&format!("ADD COLUMN c{told} ")), "{message}");
                told += 1;
                continue;
            }
            let row = message["postStruct"].as_object().unwrap();
            assert_eq!(row["amount"], told, "{message}");
            assert_eq!(row.len() as i64, 2 + told, "{message}");
            assert!(rows.insert(row["id"].as_i64().unwrap()), "twice: {message}");
        }
        assert_eq!(told, ROUNDS, "each statement once");
    }
    assert_eq!(rows.len() as i64, ROUNDS * 20 + 1);
    for round in 0..ROUNDS {
        let messages = committed(&bed.bootstrap(), &format!("Topic_told_new_{round}"), 3);
        for list in messages.values() {
            assert_eq!(list[0].1["allMetaData"]["ddlType"], "CREATE_TABLE");
            let dropped = list.last().unwrap().1["allMetaData"]["ddlType"] == "DROP_TABLE";
            assert_eq!(dropped, round == 0, "{list:?}");
        }
        let rows = rebuilt_where(&messages, |m| m["recordType"] == "INSERT");
        assert_eq!(rows, [(1, round)], "new_{round}");
    }
    // The same changes without statements.
    let messages = committed(&bed.bootstrap(), "Topic_silent_orders", 3);
    let count: usize = messages.values().map(Vec::len).sum();
    assert_eq!(count as i64, ROUNDS * 20 + 1);
    let listed = bed.node.client(&["project", "ddl", "list", "told"]).unwrap();
    assert!(
        listed.contains("ADD COLUMN c2") && listed.contains("done"),
        "{listed}"
    );
}

/// Key and amount of the rows in messages that count.
fn rebuilt_where(
    messages: &BTreeMap<i32, Vec<(String, Value)>>,
    counts: impl Fn(&Value) -> bool,
) -> Vec<(i64, i64)> {
    let all = messages.values().flatten().map(|(_, message)| message);
    all.filter(|message| counts(message))
        .map(|message| {
            let row = &message["postStruct"];
            (row["id"].as_i64().unwrap(), row["amount"].as_i64().unwrap())
        })
        .collect()
}

/// The node is killed while rows are sent, a table has no key, and topics get more partitions: rows with a key are sent once,
/// those without at least once, and changes stay in the partitions in which their rows are.
#[tokio::test(flavor = "multi_thread")]
async fn rows_and_partitions_outlive_a_kill() {
    const ROWS: i64 = 20_000;
    let mut bed = Bed::start().await;
    let mut client = bed.source.client().await.unwrap();
    for sql in [
        "CREATE DATABASE shop".to_owned(),
        "CREATE TABLE shop.keyed (id INT PRIMARY KEY, amount INT NOT NULL)".to_owned(),
        "CREATE TABLE shop.keyless (id INT, amount INT NOT NULL)".to_owned(),
        format!("INSERT INTO shop.keyed SELECT seq, 0 FROM shop.seq_1_to_{ROWS}"),
        "INSERT INTO shop.keyless SELECT seq, 0 FROM shop.seq_1_to_1000".to_owned(),
    ] {
        client.query_drop(&sql).await.unwrap();
    }
    let kafka = KafkaOptions {
        partitions: 2,
        ..Default::default()
    };
    let project = bed.launch(spec("killed", ALL, kafka)).await;
    let brokers = BareKafka::new(KafkaSettings::new(bed.bootstrap()));
    let deadline = Instant::now() + PATIENCE;
    while brokers.offsets(&["Topic_killed_keyed"]).unwrap() == 0 {
        assert!(Instant::now() < deadline, "no row is sent");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bed.node.kill().unwrap();
    bed.node.restart().await.unwrap();
    bed.following(&project).await;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bed.bootstrap())
        .create()
        .unwrap();
    let more = [
        NewPartitions::new("Topic_killed_keyed", 5),
        NewPartitions::new("Topic_killed_keyless", 5),
    ];
    for made in admin
        .create_partitions(&more, &AdminOptions::new())
        .await
        .unwrap()
    {
        made.unwrap();
    }
    for amount in 1..=2 {
        for sql in [
            format!("UPDATE shop.keyed SET amount = {amount} WHERE id % 10 = 0"),
            format!("UPDATE shop.keyless SET amount = {amount} WHERE id % 10 = 0"),
        ] {
            client.query_drop(&sql).await.unwrap();
        }
        // Whoever comes now finds five partitions.
        bed.node.kill().unwrap();
        bed.node.restart().await.unwrap();
    }
    project.wait_caught_up(&bed.node).await.unwrap();
    let messages = committed(&bed.bootstrap(), "Topic_killed_keyed", 5);
    assert!(
        messages.keys().all(|partition| *partition < 2),
        "new partitions stay empty"
    );
    let mut found: BTreeMap<i64, (i32, Vec<i64>)> = BTreeMap::new();
    for (partition, list) in &messages {
        for (_, message) in list {
            let row = &message["postStruct"];
            let id = row["id"].as_i64().unwrap();
            let amounts = found.entry(id).or_insert((*partition, Vec::new()));
            assert_eq!(amounts.0, *partition, "row {id} is in one partition");
            amounts.1.push(row["amount"].as_i64().unwrap());
        }
    }
    assert_eq!(found.len() as i64, ROWS);
    for (id, (_, amounts)) in &found {
        let wanted: &[i64] = if id % 10 == 0 { &[0, 1, 2] } else { &[0] };
        assert_eq!(amounts, wanted, "row {id}");
    }
    let messages = committed(&bed.bootstrap(), "Topic_killed_keyless", 5);
    assert_eq!(messages.len(), 1, "what has no key is in one partition");
    let (mut sent, mut changed) = (BTreeSet::new(), Vec::new());
    for (key, message) in messages.values().flatten() {
        assert_eq!(key, "killed.keyless");
        let id = message["postStruct"]["id"].as_i64().unwrap();
        match message["recordType"].as_str() {
            Some("ROW") => drop(sent.insert(id)),
            Some("UPDATE") => changed.push((message["postStruct"]["amount"].as_i64().unwrap(), id)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sent, (1..=1_000).collect());
    let wanted = (1..=2).flat_map(|amount| (1..=100).map(move |n| (amount, n * 10)));
    changed.sort_unstable();
    assert_eq!(changed, wanted.collect::<Vec<_>>());
}
