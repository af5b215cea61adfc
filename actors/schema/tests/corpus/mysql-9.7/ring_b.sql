CREATE TABLE `ring_b` (
  `id` int NOT NULL,
  `a` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `rb` (`a`),
  CONSTRAINT `rb` FOREIGN KEY (`a`) REFERENCES `ring_a` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
