//! Exactly once, fenced and in order, on real brokers.
#![cfg(feature = "client")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use oms_cluster_tests::{KafkaCluster, Listener};
use oms_core::{
    AppliedSet, BinlogPosition, ClaimToken, Epoch, GtidState, LaneId, LaneState, Message, MessageClaim,
    MessageProducer, MessageSink, Position, TopicPlan, Watermark, codes,
};
use oms_kafka::{KafkaSettings, KafkaSink, Mechanism, Sasl, Tls};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};

const PARTITIONS: u32 = 4;

fn token(epoch: u64) -> ClaimToken {
    ClaimToken {
        component: "p_orders.incr-sync".parse().expect("a component"),
        epoch: Epoch(epoch),
    }
}

fn state(applied: u64) -> LaneState {
    let position = Position::Binlog(BinlogPosition {
        server: "s".into(),
        file: "binlog.000001".into(),
        offset: applied,
        gtid: GtidState::None,
    });
    LaneState {
        watermark: Watermark { applied, position },
        above: AppliedSet::default(),
    }
}

/// The message of a transaction number; its key is one of ten.
fn message(topic: &str, number: u64) -> Message {
    Message {
        topic: topic.into(),
        partition: u32::try_from(number % 10).expect("small") % PARTITIONS,
        key: Bytes::from(format!("k{}", number % 10)),
        value: Some(Bytes::from(number.to_string())),
        headers: vec![("oms-number", Bytes::from(number.to_string()))],
    }
}

async fn topic(sink: &KafkaSink, name: &str, replication: u32) {
    let plan = TopicPlan {
        name: name.into(),
        partitions: PARTITIONS,
        replication: Some(replication),
        config: BTreeMap::from([("retention.ms".into(), "3600000".into())]),
    };
    sink.create_topic(&plan).await.expect("the topic is created");
    // Creating it again changes nothing. Brokers learn of it a moment later.
    sink.create_topic(&plan).await.expect("the topic is there");
    let end = Instant::now() + Duration::from_secs(30);
    while sink.partitions(name).await.expect("an answer") != Some(PARTITIONS) {
        assert!(Instant::now() < end, "the topic does not appear");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Numbers by key, in the order in which a consumer of committed messages sees them.
fn committed(bootstrap: &str, topic: &str) -> BTreeMap<String, Vec<u64>> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "auditor")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .expect("a partition");
    }
    reader.assign(&list).expect("assigned");
    let (mut ended, mut found) = (BTreeSet::new(), BTreeMap::<String, Vec<u64>>::new());
    let end = Instant::now() + Duration::from_secs(60);
    while ended.len() < PARTITIONS as usize {
        assert!(Instant::now() < end, "the end of the topic is not reached");
        match reader.poll(Duration::from_millis(200)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            Some(Err(error)) => panic!("{error}"),
            Some(Ok(m)) => {
                let text =
                    |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
                let number = text(m.payload()).parse().expect("a number");
                found.entry(text(m.key())).or_default().push(number);
            }
        }
    }
    found
}

/// Every number of `1..=last` once, and ascending within its key.
fn assert_exact(found: &BTreeMap<String, Vec<u64>>, last: u64) {
    for (key, numbers) in found {
        assert!(numbers.is_sorted_by(|a, b| a < b), "{key}: {numbers:?}");
    }
    let all: BTreeSet<u64> = found.values().flatten().copied().collect();
    assert_eq!(all, (1..=last).collect(), "what a consumer sees");
}

async fn write(producer: &mut Box<dyn MessageProducer>, topic: &str, numbers: std::ops::RangeInclusive<u64>) {
    let last = *numbers.end();
    producer.begin().await.expect("begun");
    let messages: Vec<_> = numbers.map(|n| message(topic, n)).collect();
    producer.write(&messages).await.expect("written");
    producer.commit(&state(last)).await.expect("committed");
}

fn applied(claim: &Arc<dyn MessageClaim>) -> Option<u64> {
    claim.checkpoint().map(|c| c.watermark.applied)
}

#[tokio::test]
async fn messages_and_position_are_there_together_whoever_writes() {
    let kafka = KafkaCluster::start(1).await.unwrap();
    let bootstrap = kafka.bootstrap(Listener::Plain);
    let sink = KafkaSink::new(KafkaSettings::new(&bootstrap));
    topic(&sink, "orders", 1).await;

    let first = sink.claim(token(1), 2).await.unwrap();
    assert_eq!((first.number().0, applied(&first)), (1, None));
    let mut old = first.producer(LaneId(0)).unwrap();
    assert!(first.producer(LaneId(0)).is_err(), "one producer per lane");
    assert!(first.producer(LaneId(2)).is_err(), "only lanes that were claimed");
    write(&mut old, "orders", 1..=20).await;
    // What is given up is not there.
    old.begin().await.unwrap();
    old.write(&[message("orders", 999)]).await.unwrap();
    old.rollback().await.unwrap();
    // A transaction stays open, in both lanes, while another owner claims with fewer.
    old.begin().await.unwrap();
    old.write(&[message("orders", 21)]).await.unwrap();
    let mut other = first.producer(LaneId(1)).unwrap();
    other.begin().await.unwrap();
    other.write(&[message("orders", 998)]).await.unwrap();

    let second = sink.claim(token(2), 1).await.unwrap();
    assert_eq!((second.number().0, applied(&second)), (1, Some(20)));
    for mut zombie in [old, other] {
        let failure = zombie.commit(&state(21)).await.unwrap_err();
        assert_eq!(failure.code(), codes::apply::FENCED, "{failure}");
        assert_eq!(zombie.begin().await.unwrap_err().code(), codes::apply::INTERNAL);
    }
    let mut new = second.producer(LaneId(0)).unwrap();
    write(&mut new, "orders", 21..=40).await;
    assert_exact(&committed(&bootstrap, "orders"), 40);

    // A former owner that claims is refused. It may void what the owner has under way, and no more.
    let failure = sink.claim(token(1), 1).await.unwrap_err();
    assert_eq!(failure.code(), codes::apply::FENCED, "{failure}");
    new.begin().await.unwrap_or_default();
    let failure = async {
        new.write(&[message("orders", 41)]).await?;
        new.commit(&state(41)).await
    }
    .await
    .unwrap_err();
    assert!(!failure.is_fenced(), "{failure}");
    // The owner claims again under its epoch, and goes on.
    let third = sink.claim(token(2), 1).await.unwrap();
    assert_eq!((third.number().0, applied(&third)), (2, Some(40)));
    write(&mut third.producer(LaneId(0)).unwrap(), "orders", 41..=50).await;
    assert_exact(&committed(&bootstrap, "orders"), 50);
}

#[tokio::test]
async fn errors_say_what_is_wrong() {
    let mut kafka = KafkaCluster::start(1).await.unwrap();
    let plain = KafkaSink::new(KafkaSettings::new(kafka.bootstrap(Listener::Plain)));
    topic(&plain, "orders", 1).await;
    assert_eq!(plain.partitions("nowhere").await.unwrap(), None);
    let impossible = TopicPlan {
        name: "copies".into(),
        partitions: 1,
        replication: Some(3),
        config: BTreeMap::new(),
    };
    let failure = plain.create_topic(&impossible).await.unwrap_err();
    assert_eq!(failure.code(), codes::message::BROKER_REFUSED, "{failure}");
    let wrong = TopicPlan {
        replication: None,
        config: BTreeMap::from([("no.such.setting".into(), "1".into())]),
        ..impossible
    };
    let failure = plain.create_topic(&wrong).await.unwrap_err();
    assert_eq!(failure.code(), codes::message::BROKER_REFUSED, "{failure}");

    let claim = plain.claim(token(1), 1).await.unwrap();
    let mut producer = claim.producer(LaneId(0)).unwrap();
    producer.begin().await.unwrap();
    let large = Message {
        value: Some(Bytes::from(vec![b'x'; 4 << 20])),
        ..message("orders", 1)
    };
    // The topic says how large a message may be, so that is told when it was asked.
    let failure = async {
        producer.write(&[large]).await?;
        producer.commit(&state(1)).await
    }
    .await
    .unwrap_err();
    assert_eq!(failure.code(), codes::message::TOO_LARGE, "{failure}");
    assert!(failure.text().contains("`orders`"), "{failure}");
    drop(producer);

    let claim = plain.claim(token(1), 1).await.unwrap();
    let mut producer = claim.producer(LaneId(0)).unwrap();
    producer.begin().await.unwrap();
    let beyond = Message {
        partition: 99,
        ..message("orders", 1)
    };
    let failure = async {
        producer.write(&[beyond]).await?;
        producer.commit(&state(1)).await
    }
    .await
    .unwrap_err();
    assert_eq!(failure.code(), codes::message::TOPIC_MISSING, "{failure}");
    drop(producer);

    kafka.stop(0).await.unwrap();
    let failure = plain.partitions("orders").await.unwrap_err();
    assert!(failure.is_transient(), "{failure}");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn accounts_and_certificates_are_checked() {
    let kafka = KafkaCluster::start(1).await.unwrap();
    let plain = KafkaSink::new(KafkaSettings::new(kafka.bootstrap(Listener::Plain)));
    topic(&plain, "orders", 1).await;
    let ca_pem = Some(std::fs::read_to_string(kafka.certificate()).unwrap());
    let sink = |listener, mechanism: Option<Mechanism>, user: &str, tls: bool| {
        KafkaSink::new(KafkaSettings {
            tls: tls.then(|| Tls {
                unchecked: false,
                ca_pem: ca_pem.clone(),
                any_host: false,
            }),
            sasl: mechanism.map(|mechanism| Sasl {
                mechanism,
                user: user.into(),
                password: kafka.password().into(),
            }),
            ..KafkaSettings::new(kafka.bootstrap(listener))
        })
    };
    for (listener, mechanism, tls) in [
        (Listener::Sasl, Some(Mechanism::Plain), false),
        (Listener::Sasl, Some(Mechanism::ScramSha256), false),
        (Listener::Sasl, Some(Mechanism::ScramSha512), false),
        (Listener::SaslTls, Some(Mechanism::ScramSha512), true),
        (Listener::Tls, None, true),
    ] {
        let found = sink(listener, mechanism, "oms", tls).partitions("orders").await;
        assert_eq!(found.unwrap(), Some(PARTITIONS), "{listener:?} {mechanism:?}");
    }
    // `guest` was granted nothing.
    let failure = sink(Listener::Sasl, Some(Mechanism::Plain), "guest", false)
        .claim(token(1), 1)
        .await
        .unwrap_err();
    assert_eq!(failure.code(), codes::dst::PRIVILEGE_MISSING, "{failure}");
}

#[tokio::test]
async fn order_and_content_survive_the_loss_of_brokers() {
    let mut kafka = KafkaCluster::start(3).await.unwrap();
    let bootstrap = kafka.bootstrap(Listener::Plain);
    let sink = KafkaSink::new(KafkaSettings::new(&bootstrap));
    topic(&sink, "orders", 3).await;
    let mut next = 1u64;
    let mut epoch = 1;
    let end = Instant::now() + Duration::from_secs(150);
    let mut lost = 0;
    while next <= 600 {
        assert!(Instant::now() < end, "no progress at {next}");
        // Any error: claim again, as a component does, and go on behind what is committed.
        let done: Result<(), oms_core::Failure> = async {
            let claim = sink.claim(token(epoch), 1).await?;
            next = applied(&claim).unwrap_or(0) + 1;
            let mut producer = claim.producer(LaneId(0))?;
            while next <= 600 {
                if next > 200 * (lost as u64 + 1) && lost < 2 {
                    kafka
                        .kill(lost)
                        .map_err(|e| oms_core::Failure::new(codes::apply::INTERNAL, e.to_string()))?;
                    kafka
                        .restart(lost)
                        .await
                        .map_err(|e| oms_core::Failure::new(codes::apply::INTERNAL, e.to_string()))?;
                    lost += 1;
                }
                producer.begin().await?;
                let messages: Vec<_> = (next..next + 10).map(|n| message("orders", n)).collect();
                producer.write(&messages).await?;
                producer.commit(&state(next + 9)).await?;
                next += 10;
            }
            Ok(())
        }
        .await;
        if let Err(failure) = done {
            assert!(failure.is_transient(), "{failure}");
            epoch += 1;
        }
    }
    assert_eq!(lost, 2);
    assert_exact(&committed(&bootstrap, "orders"), 600);
}
