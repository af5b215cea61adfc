CREATE TABLE `child_nonunique` (
  `id` int NOT NULL,
  `n` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `fk_n` (`n`),
  CONSTRAINT `fk_n` FOREIGN KEY (`n`) REFERENCES `parent` (`n`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
