CREATE TABLE `ring_b` (
  `id` int(11) NOT NULL,
  `a` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `rb` (`a`),
  CONSTRAINT `rb` FOREIGN KEY (`a`) REFERENCES `ring_a` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
