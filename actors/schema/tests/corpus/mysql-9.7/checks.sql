CREATE TABLE `checks` (
  `a` int NOT NULL,
  `b` int DEFAULT NULL,
  `c` varchar(10) DEFAULT NULL,
  PRIMARY KEY (`a`),
  CONSTRAINT `checks_chk_1` CHECK ((`a` <> `b`)) /*!80016 NOT ENFORCED */,
  CONSTRAINT `checks_chk_2` CHECK ((`c` in (_utf8mb4'x',_utf8mb4'it\'s'))),
  CONSTRAINT `named` CHECK (((`b` < 100) and (`b` <> 3))),
  CONSTRAINT `pos` CHECK ((`a` > 0))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
