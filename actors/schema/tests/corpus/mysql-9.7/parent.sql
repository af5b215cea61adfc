CREATE TABLE `parent` (
  `id` int NOT NULL,
  `code` varchar(10) NOT NULL,
  `n` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uc` (`code`),
  KEY `kn` (`n`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
