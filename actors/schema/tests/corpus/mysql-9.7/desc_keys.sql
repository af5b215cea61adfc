CREATE TABLE `desc_keys` (
  `a` int NOT NULL,
  `b` int NOT NULL,
  PRIMARY KEY (`a` DESC,`b`),
  KEY `kd` (`b` DESC,`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
