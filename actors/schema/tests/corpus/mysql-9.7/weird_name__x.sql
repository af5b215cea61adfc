CREATE TABLE `weird.name ``x` (
  `a b` int NOT NULL,
  `c``d` int DEFAULT NULL,
  `select` int DEFAULT NULL,
  `日本` varchar(10) DEFAULT NULL COMMENT '日本語',
  PRIMARY KEY (`a b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
