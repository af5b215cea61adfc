CREATE TABLE `ft_ngram` (
  `a` int NOT NULL,
  `t` text,
  PRIMARY KEY (`a`),
  FULLTEXT KEY `f` (`t`) /*!50100 WITH PARSER `ngram` */ 
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
