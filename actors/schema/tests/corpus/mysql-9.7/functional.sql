CREATE TABLE `functional` (
  `a` int NOT NULL,
  `b` varchar(20) DEFAULT NULL,
  PRIMARY KEY (`a`),
  UNIQUE KEY `fu` (((`a` + 1)),`b` DESC),
  KEY `f` ((lower(`b`)))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
