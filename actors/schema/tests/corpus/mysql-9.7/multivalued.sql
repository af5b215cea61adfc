CREATE TABLE `multivalued` (
  `a` int NOT NULL,
  `j` json DEFAULT NULL,
  PRIMARY KEY (`a`),
  KEY `mv` ((cast(json_extract(`j`,_utf8mb4'$.x') as unsigned array)))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
