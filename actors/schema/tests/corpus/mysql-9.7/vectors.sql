CREATE TABLE `vectors` (
  `a` int NOT NULL,
  `v` vector(8) DEFAULT NULL,
  `w` vector(2048) DEFAULT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
