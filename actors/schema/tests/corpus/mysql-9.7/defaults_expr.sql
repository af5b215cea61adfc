CREATE TABLE `defaults_expr` (
  `id` int NOT NULL,
  `a` int DEFAULT ((1 + 2)),
  `b` text DEFAULT (_utf8mb4'long text'),
  `c` json DEFAULT (json_object(_utf8mb4'a',1)),
  `d` varchar(36) DEFAULT (uuid()),
  `e` date DEFAULT (curdate()),
  `f` blob DEFAULT (0x4142),
  `g` varchar(20) DEFAULT (_latin1'x'),
  `h` point DEFAULT (point(1,2)),
  `i` datetime(6) DEFAULT (now(6)),
  `j` decimal(20,4) DEFAULT ((rand() * 100)),
  `k` datetime DEFAULT ((now() + interval 1 day)),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
