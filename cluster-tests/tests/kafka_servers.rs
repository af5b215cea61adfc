//! The testbed's Kafka: starts, knows its accounts, survives the loss of a broker.

use std::process::Command;
use std::time::{Duration, Instant};

use oms_cluster_tests::{KafkaCluster, Listener};

#[tokio::test]
async fn one_broker_starts_and_asks_who_comes() {
    let mut kafka = KafkaCluster::start(1).await.unwrap();
    assert_eq!(kafka.known_brokers(0).await.unwrap(), Some(1));
    assert!(kafka.lets_in(0, "oms", kafka.password()).await.unwrap());
    assert!(kafka.lets_in(0, "guest", kafka.password()).await.unwrap());
    assert!(!kafka.lets_in(0, "oms", "wrong").await.unwrap());
    assert!(!kafka.lets_in(0, "nobody", kafka.password()).await.unwrap());
    for listener in [Listener::Tls, Listener::SaslTls] {
        let said = Command::new("openssl")
            .args([
                "s_client",
                "-verify_return_error",
                "-verify_ip",
                "127.0.0.1",
                "-connect",
            ])
            .arg(format!("127.0.0.1:{}", kafka.port(0, listener).unwrap()))
            .arg("-CAfile")
            .arg(kafka.certificate())
            .stdin(std::process::Stdio::null())
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    }
    kafka.restart(0).await.unwrap();
    assert_eq!(kafka.known_brokers(0).await.unwrap(), Some(1));
    assert!(kafka.lets_in(0, "oms", kafka.password()).await.unwrap());
    kafka.stop(0).await.unwrap();
    assert!(kafka.known_brokers(0).await.is_err());
}

#[tokio::test]
async fn three_brokers_go_on_without_one() {
    let mut kafka = KafkaCluster::start(3).await.unwrap();
    assert_eq!(kafka.len(), 3);
    assert_eq!(kafka.bootstrap(Listener::Plain).split(',').count(), 3);
    kafka.kill(0).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    // The lost broker's session must end, and another controller may have to be elected.
    while kafka.known_brokers(1).await.unwrap() != Some(2) {
        assert!(Instant::now() < end, "the loss of a broker is not noticed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    kafka.restart(0).await.unwrap();
    assert_eq!(kafka.known_brokers(0).await.unwrap(), Some(3));
}
