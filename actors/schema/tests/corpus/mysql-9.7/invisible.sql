CREATE TABLE `invisible` (
  `a` int NOT NULL,
  `b` int DEFAULT NULL,
  `c` int DEFAULT '5' /*!80023 INVISIBLE */,
  PRIMARY KEY (`a`),
  KEY `ki` (`b`) /*!80000 INVISIBLE */
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
