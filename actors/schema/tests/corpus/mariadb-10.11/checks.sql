CREATE TABLE `checks` (
  `a` int(11) NOT NULL CHECK (`a` > 0),
  `b` int(11) DEFAULT NULL,
  `c` varchar(10) DEFAULT NULL CHECK (`c` in ('x','it\'s')),
  PRIMARY KEY (`a`),
  CONSTRAINT `named` CHECK (`b` < 100 and `b` <> 3),
  CONSTRAINT `CONSTRAINT_1` CHECK (`a` <> `b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
