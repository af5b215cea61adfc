CREATE TABLE `json_table_x` (
  `a` int NOT NULL,
  `j` json NOT NULL,
  `k` json DEFAULT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
