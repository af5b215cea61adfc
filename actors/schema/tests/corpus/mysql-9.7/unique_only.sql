CREATE TABLE `unique_only` (
  `a` int NOT NULL,
  `b` int DEFAULT NULL,
  UNIQUE KEY `u` (`a`),
  UNIQUE KEY `n` (`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
