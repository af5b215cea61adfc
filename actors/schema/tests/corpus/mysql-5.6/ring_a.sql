CREATE TABLE `ring_a` (
  `id` int(11) NOT NULL,
  `b` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `ra` (`b`),
  CONSTRAINT `ra` FOREIGN KEY (`b`) REFERENCES `ring_b` (`id`) ON DELETE SET NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
